// A batch while it is being filled: its items, its slot, and where each item's features go.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "loader/batch.h"
#include "loader/dataset.h"
#include "loader/featurizer.h"
#include "loader/plan.h"

namespace batch71::loader {

// States of an item: docs/worker-pool.md.
enum class ItemState : uint8_t { kWaiting, kQueued, kDecoded, kDummy };

struct Item {
  int64_t index = -1;
  int64_t declared_frames = 0;  // at least 1
  int64_t frames = 0;           // valid ones, once it ended
  ItemState state = ItemState::kWaiting;
};

struct BatchWork {
  uint64_t serial = 0;  // which start_epoch it belongs to
  int32_t epoch = 0;
  int32_t batch = 0;
  int slot = -1;
  int64_t stride_frames = 0;  // the longest declared item
  bool abandoned = false;     // its epoch was left: nobody will take it
  std::vector<Item> items;
  std::vector<DummyItem> dummies;
  size_t unfinished = 0;
};

// Samples of that many seconds: a whole number of them may be written a little off in a manifest.
int64_t declared_samples(double duration_s, int sample_rate_hz);

// What the batches of a loader have in common.
class BatchShape {
 public:
  BatchShape(const Dataset& dataset, const Featurizer& featurizer, int sample_rate_hz,
             int batch_size);

  BatchWork begin(int32_t epoch, int32_t batch, const BatchPlan& plan) const;
  // Features of an item inside a slot; frames: the declared ones.
  FeatureView view(float* slot, const BatchWork& work, size_t position) const;
  int64_t channels() const { return channels_; }
  // The largest batch that the dataset can give.
  size_t slot_bytes() const { return slot_bytes_; }

 private:
  int64_t declared_frames(int64_t index) const;

  const Dataset& dataset_;
  const Featurizer& featurizer_;
  int sample_rate_hz_;
  int64_t channels_;
  size_t slot_bytes_;
};

// Zeroes what follows the first `frames` frames in each row.
void zero_tail(const FeatureView& view, int64_t frames);

}  // namespace batch71::loader
