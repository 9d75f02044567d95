// The seam for a user's own model: forward and loss of one step.
//
// forward receives the whole batch, dummies included (they are finite); loss_sum receives only the
// valid rows, already selected, and returns the *sum* over them: the job divides by what is valid over
// all ranks. Called on the rank's training thread.
#pragma once

#include <functional>
#include <memory>

#include <torch/nn/module.h>

#include "loader/batch.h"

namespace batch71::ddp {

class Model : public torch::nn::Module {
 public:
  // [batch, channels, frames] -> [batch, ...]
  virtual at::Tensor forward(const loader::Batch& batch) = 0;
  // outputs and labels of the valid rows only -> scalar
  virtual at::Tensor loss_sum(const at::Tensor& outputs, const at::Tensor& labels) = 0;
};

struct ModelSpec {
  int64_t channels = 0;
  int64_t num_classes = 0;
};
using ModelFactory = std::function<std::shared_ptr<Model>(const ModelSpec&)>;

}  // namespace batch71::ddp
