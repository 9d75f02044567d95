// The seam for a user's own features: waveform in, [channels, frames] float32 out.
//
// Made by a factory in the worker zygote (must not start a thread) and, with `num_workers: 0`, in the
// rank. `process` is called by one thread of a worker at a time and writes straight into shared
// memory. Errors: throw anything; it becomes a dummy item with a stack trace.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "loader/dataset.h"

namespace batch71::loader {

// Row-major [channels, frames] inside a batch: row `c` starts at data + c * row_stride.
struct FeatureView {
  float* data = nullptr;
  int64_t channels = 0;
  int64_t frames = 0;      // frames of this item
  int64_t row_stride = 0;  // floats from one row to the next: the batch's longest item
};

// Which sample is being worked on. All randomness derives from (seed, epoch, index).
struct ItemId {
  int64_t index = -1;
  int32_t epoch = 0;
  int32_t batch = 0;
  uint64_t seed = 0;
};

class Featurizer {
 public:
  virtual ~Featurizer() = default;
  virtual int64_t channels() const = 0;
  // Frames for that many samples at the configured rate: a pure function, called in rank and worker.
  virtual int64_t frames(int64_t num_samples) const = 0;
  virtual void process(const Waveform& waveform, const ItemId& id, const FeatureView& out) = 0;
};

using FeaturizerFactory = std::function<std::unique_ptr<Featurizer>()>;

}  // namespace batch71::loader
