// The work on one item: decode, mix noise in, featurize, check; and whatever is thrown on the way, caught.
//
// For: a worker process, or the training thread with `num_workers: 0`. Writes the stages of the item
// to the thread's trace, and an error incident with the stack for what user code threw.
#pragma once

#include <string>

#include "loader/config.h"
#include "loader/dataset.h"
#include "loader/featurizer.h"
#include "loader/noise.h"
#include "trace/event.h"

namespace batch71::loader {

struct ItemOutcome {
  bool done = false;
  int64_t frames = 0;  // valid ones
  // If not done:
  BadItem reason{};
  trace::Stage stage = trace::Stage::kNone;
  std::string why;
};

class ItemWork {
 public:
  // noise: nullptr for none.
  ItemWork(Dataset& dataset, NoiseMixer* noise, Featurizer& featurizer, FiniteCheck finite_check,
           trace::Writer& trace)
      : dataset_(dataset),
        noise_(noise),
        featurizer_(featurizer),
        finite_check_(finite_check),
        trace_(trace) {}

  // out.frames: the declared ones. What follows the valid frames is zeroed.
  ItemOutcome process(const ItemId& id, FeatureView out);

 private:
  int64_t fill(const ItemId& id, FeatureView out);
  ItemOutcome failed(BadItem reason, const std::string& why);
  ItemOutcome threw(const std::string& what);

  Dataset& dataset_;
  NoiseMixer* noise_;
  Featurizer& featurizer_;
  FiniteCheck finite_check_;
  trace::Writer& trace_;
};

}  // namespace batch71::loader
