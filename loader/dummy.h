// Dummy items: the stand-ins for samples that could not be had, and how each one is written down.
//
// Trace text: "reason=<name(BadItem)> worker_since_epoch=<n> file=<path> why=<one line>", in that order;
// the second is left out where there is no worker, and the file may hold spaces, so parse up to " why=".
// The file is that of the noise if it happened in stage noise_mix.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "loader/batch_work.h"
#include "loader/noise.h"
#include "loader/slots.h"
#include "trace/event.h"

namespace batch71::loader {

// Why an item has no features of its own.
struct BadNews {
  BadItem reason{};
  std::string why;
  trace::Stage stage = trace::Stage::kNone;  // where it happened
  int64_t worker_code = -1;                  // worker * 65536 + generation, -1: none
  int32_t worker_since_epoch = -1;           // the first epoch that it worked for
};

// Small values around zero, finite and not constant, derived from (seed, epoch, index) alone.
void fill_dummy(const FeatureView& out, const ItemId& id);

class DummyMaker {
 public:
  // noise: nullptr for none.
  DummyMaker(const Dataset& dataset, const NoisePlan* noise, const BatchShape& shape, Slots& slots,
             uint64_t seed)
      : dataset_(dataset), noise_(noise), shape_(shape), slots_(slots), seed_(seed) {}

  // Ends the item as a dummy: features, length, report and incident. One thread at a time.
  void make(BatchWork& work, size_t position, const BadNews& news, trace::Writer& trace);
  int64_t total() const { return total_.load(); }

 private:
  const Dataset& dataset_;
  const NoisePlan* noise_;
  const BatchShape& shape_;
  Slots& slots_;
  uint64_t seed_;
  std::atomic<int64_t> total_{0};
};

}  // namespace batch71::loader
