// A small classifier of utterances.
#include "ddp/classifier.h"

#include <ATen/Functions.h>
#include <torch/nn/functional/loss.h>
#include <torch/utils.h>

namespace batch71::ddp {
namespace {

constexpr int64_t kHidden = 32;
constexpr int64_t kKernel = 5;
constexpr int64_t kStride = 2;

int64_t after_convolution(int64_t frames) { return (frames + kStride - 1) / kStride; }

torch::nn::Conv1d convolution(int64_t from, int64_t to) {
  return torch::nn::Conv1d(
      torch::nn::Conv1dOptions(from, to, kKernel).stride(kStride).padding(kKernel / 2));
}

}  // namespace

Classifier::Classifier(const ModelSpec& spec, uint64_t seed) {
  torch::manual_seed(seed);
  first_ = register_module("first", convolution(spec.channels, kHidden));
  second_ = register_module("second", convolution(kHidden, kHidden));
  head_ =
      register_module("head", torch::nn::Linear(kHidden, std::max<int64_t>(spec.num_classes, 1)));
}

at::Tensor Classifier::forward(const loader::Batch& batch) {
  at::Tensor hidden = at::relu(second_->forward(at::relu(first_->forward(batch.features))));
  const int64_t frames = hidden.size(2);
  // Padding takes no part in the mean.
  const at::Tensor lengths = batch.lengths.clone();
  int64_t* length = lengths.data_ptr<int64_t>();
  for (int64_t i = 0; i < lengths.numel(); ++i) {
    length[i] = std::min(frames, after_convolution(after_convolution(length[i])));
  }
  const at::Tensor valid =
      at::arange(frames).unsqueeze(0).lt(lengths.unsqueeze(1)).unsqueeze(1).to(at::kFloat);
  const at::Tensor mean = (hidden * valid).sum(2) / lengths.unsqueeze(1).to(at::kFloat);
  return head_->forward(mean);
}

at::Tensor Classifier::loss_sum(const at::Tensor& outputs, const at::Tensor& labels) {
  namespace F = torch::nn::functional;
  return F::cross_entropy(outputs, labels.clamp_min(0),
                          F::CrossEntropyFuncOptions().reduction(torch::kSum));
}

}  // namespace batch71::ddp
