// A small classifier of utterances: what the main job trains, and a model to begin with.
//
// [batch, channels, frames] -> two strided convolutions, mean over the valid frames, linear ->
// [batch, num_classes]. Deterministic for a seed; a step of 8 short clips costs milliseconds.
#pragma once

#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>

#include "ddp/model.h"

namespace batch71::ddp {

class Classifier : public Model {
 public:
  Classifier(const ModelSpec& spec, uint64_t seed);
  at::Tensor forward(const loader::Batch& batch) override;
  // Cross entropy.
  at::Tensor loss_sum(const at::Tensor& outputs, const at::Tensor& labels) override;

 private:
  torch::nn::Conv1d first_{nullptr};
  torch::nn::Conv1d second_{nullptr};
  torch::nn::Linear head_{nullptr};
};

}  // namespace batch71::ddp
