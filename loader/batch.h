// One batch as the training loop receives it: tensors over shared memory, no copy.
//
// features   float32 [batch, channels, frames], frames: the longest declared item of this batch
// lengths    int64   [batch], valid frames of each item
// is_dummy   bool    [batch], true: a stand-in; select these out of the loss, never multiply
// labels     int64   [batch], -1 for none
// The memory goes back to the loader when the last tensor over it is freed (any thread of the rank).
// A starved pool (the user keeps every batch) is a verdict, not a hang.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <ATen/core/TensorBody.h>

#include "loader/dataset.h"

namespace batch71::loader {

struct DummyItem {
  int64_t index = -1;
  int position = 0;  // in the batch
  BadItem reason{};
  std::string file;
  std::string why;
};

struct Batch {
  int32_t epoch = 0;
  int32_t batch = 0;  // counts from 0 in each epoch
  std::vector<int64_t> indices;
  at::Tensor features;
  at::Tensor lengths;
  at::Tensor is_dummy;
  at::Tensor labels;
  std::vector<DummyItem> dummies;
  int64_t num_valid() const { return static_cast<int64_t>(indices.size() - dummies.size()); }
};

}  // namespace batch71::loader
