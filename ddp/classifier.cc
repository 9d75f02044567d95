// A small classifier of utterances.
#include "ddp/classifier.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/conv1d.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/zeros.h>

#include <cmath>

#include "ddp/model.h"

namespace batch71::ddp {
namespace {

constexpr int64_t kHidden = 32;
constexpr int64_t kKernel = 5;
constexpr int64_t kStride = 2;

// Frames after a convolution with that stride and half a kernel of padding.
at::Tensor strided(const at::Tensor& frames) {
  return (frames + (kStride - 1)).div(kStride, "floor");
}

// Each channel of each item around its own mean over the valid frames: loudness and microphone go.
at::Tensor centred(const at::Tensor& features, const at::Tensor& mask, const at::Tensor& frames) {
  const at::Tensor mean = (features * mask).sum(2, true) / frames.view({-1, 1, 1});
  return (features - mean) * mask;
}

at::Tensor mask_of(const at::Tensor& frames, int64_t length) {
  return at::arange(length).lt(frames.unsqueeze(1)).unsqueeze(1).to(at::kFloat);
}

class Classifier : public Model {
 public:
  Classifier(const ModelSpec& spec, uint64_t seed)
      : generator_(at::detail::createCPUGenerator(seed)),
        first_(weights("first", {kHidden, spec.channels, kKernel}, spec.channels * kKernel)),
        second_(weights("second", {kHidden, kHidden, kKernel}, kHidden * kKernel)),
        head_(weights("head", {std::max<int64_t>(spec.num_classes, 1), kHidden}, kHidden)),
        bias_(register_parameter("bias", at::zeros({head_.size(0)}))) {}

  at::Tensor forward(const loader::Batch& batch) override {
    const at::Tensor frames = batch.lengths.clamp_min(1);
    const at::Tensor mask = mask_of(frames, batch.features.size(2));
    at::Tensor hidden = centred(batch.features, mask, frames);
    for (const at::Tensor& kernel : {first_, second_}) {
      hidden = at::conv1d(hidden, kernel, {}, kStride, kKernel / 2).relu();
    }
    const at::Tensor left = strided(strided(frames));
    const at::Tensor mean = (hidden * mask_of(left, hidden.size(2))).sum(2) / left.unsqueeze(1);
    return at::linear(mean, head_, bias_);
  }

  at::Tensor loss_sum(const at::Tensor& outputs, const at::Tensor& labels) override {
    return at::cross_entropy_loss(outputs, labels.clamp_min(0), {}, at::Reduction::Sum);
  }

 private:
  // Kaiming's uniform initialization.
  at::Tensor& weights(const char* name, at::IntArrayRef shape, int64_t fan_in) {
    const double bound = std::sqrt(6.0 / static_cast<double>(fan_in));
    return register_parameter(name, at::empty(shape).uniform_(-bound, bound, generator_));
  }

  at::Generator generator_;
  at::Tensor first_;
  at::Tensor second_;
  at::Tensor head_;
  at::Tensor bias_;
};

}  // namespace

ModelFactory classifier_factory(uint64_t seed) {
  return [seed](const ModelSpec& spec) { return std::make_shared<Classifier>(spec, seed); };
}

}  // namespace batch71::ddp
