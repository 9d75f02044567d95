// The seam for a user's own model: forward and loss of one step.
//
// forward receives the whole batch, dummies included (they are finite); loss_sum receives only the
// valid rows, already selected, and returns the *sum* over them: the job divides by what is valid over
// all ranks. Of a batch without a valid row (a shadow batch has none) it receives all rows, and what comes
// of them counts for nothing. Called on the rank's training thread.
#pragma once

#include <torch/nn/module.h>

#include "ddp/model_factory.h"
#include "loader/batch.h"

namespace batch71::ddp {

class Model : public torch::nn::Module {
 public:
  // [batch, channels, frames] -> [batch, ...]
  virtual at::Tensor forward(const loader::Batch& batch) = 0;
  // outputs and labels of the chosen rows -> scalar
  virtual at::Tensor loss_sum(const at::Tensor& outputs, const at::Tensor& labels) = 0;
};

}  // namespace batch71::ddp
