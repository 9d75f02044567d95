// A user's featurizer and model around others.
#include "faults/seams/user_seams.h"

#include <limits>
#include <utility>

#include "faults/seams/user_hooks.h"

namespace user {

namespace ddp = batch71::ddp;
namespace loader = batch71::loader;

namespace {

class UserFeaturizer : public loader::Featurizer {
 public:
  UserFeaturizer(std::unique_ptr<loader::Featurizer> inner, const Hooks& hooks)
      : inner_(std::move(inner)), hooks_(hooks) {}
  int64_t channels() const override { return inner_->channels(); }
  int64_t frames(int64_t num_samples) const override { return inner_->frames(num_samples); }
  void process(const loader::Waveform& waveform, const loader::ItemId& id,
               const loader::FeatureView& out) override {
    hooks_.set_epoch(id.epoch);
    hooks_.sample(id.index);
    inner_->process(waveform, id, out);
  }

 private:
  std::unique_ptr<loader::Featurizer> inner_;
  Hooks hooks_;
};

class UserModel : public ddp::Model {
 public:
  UserModel(std::shared_ptr<ddp::Model> inner, const Hooks& hooks)
      : inner_(register_module("inner", std::move(inner))), hooks_(hooks) {}
  at::Tensor forward(const loader::Batch& batch) override {
    hooks_.set_epoch(batch.epoch);
    batch_ = batch.batch;
    hooks_.step(batch_);
    at::Tensor outputs = inner_->forward(batch);
    if (outputs.requires_grad()) {
      outputs.register_hook([hooks = hooks_, number = batch_](const at::Tensor& grad) {
        hooks.backward(number);
        return grad;
      });
    }
    return outputs;
  }
  at::Tensor loss_sum(const at::Tensor& outputs, const at::Tensor& labels) override {
    const double factor = hooks_.loss(batch_) ? std::numeric_limits<double>::quiet_NaN() : 1;
    return inner_->loss_sum(outputs, labels) * factor;
  }

 private:
  std::shared_ptr<ddp::Model> inner_;
  Hooks hooks_;
  int64_t batch_ = -1;
};

}  // namespace

loader::FeaturizerFactory featurizer(loader::FeaturizerFactory inner) {
  const Hooks hooks = Hooks::from_environment();
  if (!hooks.watches_featurizer()) return inner;
  return [inner = std::move(inner), hooks] {
    return std::make_unique<UserFeaturizer>(inner(), hooks);
  };
}

ddp::ModelFactory model(ddp::ModelFactory inner) {
  const Hooks hooks = Hooks::from_environment();
  if (!hooks.watches_model()) return inner;
  return [inner = std::move(inner), hooks](const ddp::ModelSpec& spec) {
    return std::make_shared<UserModel>(inner(spec), hooks);
  };
}

}  // namespace user
