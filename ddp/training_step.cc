// Forward, loss, backward, SGD.
#include "ddp/training_step.h"

#include <ATen/Context.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <torch/optim/sgd.h>
#include <torch/serialize/archive.h>

#include <bit>
#include <optional>
#include <sstream>
#include <utility>

#include "ddp/model.h"
#include "ddp/rounds.h"
#include "loader/hash.h"

namespace batch71::ddp {
namespace {

using trace::Event;
using trace::Stage;

uint64_t seed_of(uint64_t seed, const loader::Batch& batch) {
  return loader::mix(loader::mix(seed + static_cast<uint64_t>(batch.epoch)) +
                     static_cast<uint64_t>(batch.batch));
}

// Puts a model's buffers back when it goes: after backward, which may still need them as they were.
class BuffersKept {
 public:
  explicit BuffersKept(std::vector<at::Tensor> buffers) : buffers_(std::move(buffers)) {
    for (const at::Tensor& buffer : buffers_) before_.push_back(buffer.detach().clone());
  }
  ~BuffersKept() {
    for (size_t i = 0; i < buffers_.size(); ++i) buffers_[i].detach().copy_(before_[i]);
  }
  BuffersKept(const BuffersKept&) = delete;
  BuffersKept& operator=(const BuffersKept&) = delete;

 private:
  std::vector<at::Tensor> buffers_;
  std::vector<at::Tensor> before_;
};

}  // namespace

class TrainingStep::Impl {
 public:
  Impl(std::shared_ptr<Model> with, const Spec& with_spec, Collectives& using_collectives,
       Progress& tell)
      : model(std::move(with)),
        spec(with_spec),
        sgd(model->parameters(), torch::optim::SGDOptions(with_spec.lr)),
        collectives(using_collectives),
        progress(tell),
        loss_carrier(at::zeros({}).requires_grad_()) {
    for (const at::Tensor& parameter : model->parameters()) {
      parameter.register_hook([counts = counts](const at::Tensor& gradient) {
        return *counts ? gradient : at::zeros_like(gradient);
      });
    }
  }

  // The rows to learn from; of a batch that has none all, though they count for nothing.
  at::Tensor choose_rows(const loader::Batch& batch) {
    const at::Tensor valid = batch.is_dummy.logical_not().nonzero().squeeze(1);
    *counts = valid.numel() > 0;
    return *counts ? valid : batch.is_dummy.nonzero().squeeze(1);
  }

  // The sum over these rows, with the loss carrier.
  at::Tensor loss_sum(const loader::Batch& batch, const at::Tensor& rows) {
    at::manual_seed(seed_of(spec.seed, batch));
    progress.enter(Event::kForwardCalled, Stage::kForward);
    const at::Tensor outputs = model->forward(batch);
    progress.enter(Event::kForwardDone, Stage::kLoss);
    const at::Tensor sum =
        model->loss_sum(outputs.index_select(0, rows), batch.labels.index_select(0, rows));
    const double loss = *counts ? sum.item<double>() : 0;
    progress.enter(Event::kLossDone, Stage::kLoss, std::bit_cast<int64_t>(loss));
    return sum + loss_carrier * loss;
  }

  void backward(const at::Tensor& loss, bool is_last) {
    reducing = false;
    progress.enter(Event::kBackwardCalled, Stage::kBackward);
    try {
      if (is_last) collectives.prepare_for_backward();  // else the Reducer ignores this backward
      loss.backward();
    } catch (const std::exception& error) {
      if (!reducing) throw;  // the model's own
      progress.watch().symptom(Stage::kAllreduce, error.what());
    }
    if (is_last) progress.enter(Event::kAllreduceDone, Stage::kStep);
  }

  // Before the last bucket main still computes gradients; after it, it can only wait for others.
  void on_bucket(int64_t size_bytes, bool is_last) {
    reducing = true;
    progress.enter(Event::kAllreduceStarted, is_last ? Stage::kAllreduce : Stage::kBackward,
                   size_bytes);
  }

  std::shared_ptr<Model> model;
  Spec spec;
  torch::optim::SGD sgd;
  Collectives& collectives;
  Progress& progress;
  // A parameter that is always 0 and whose gradient is the loss: so the all-reduce of the gradients
  // averages the loss too, and every rank knows the same one before the optimizer.
  at::Tensor loss_carrier;
  // Does the batch that is worked on count? Shared with the hooks, which live as long as the model.
  std::shared_ptr<bool> counts = std::make_shared<bool>(true);
  bool reducing = false;
  bool is_fresh = true;  // nothing was added to the gradients of this step yet
};

TrainingStep::TrainingStep(std::shared_ptr<Model> model, const Spec& spec, Collectives& collectives,
                           Progress& progress)
    : impl_(std::make_unique<Impl>(std::move(model), spec, collectives, progress)) {}

TrainingStep::~TrainingStep() = default;

uint64_t TrainingStep::parameter_digest() const {
  loader::Digest digest;
  for (const at::Tensor& parameter : impl_->model->parameters()) {
    digest.add(static_cast<uint64_t>(parameter.dim()));
    for (const int64_t size : parameter.sizes()) digest.add(static_cast<uint64_t>(size));
  }
  return digest.value();
}

void TrainingStep::begin() {
  std::vector<at::Tensor> weights;
  for (const at::Tensor& tensor : impl_->model->parameters()) weights.push_back(tensor.detach());
  for (const at::Tensor& tensor : impl_->model->buffers()) weights.push_back(tensor.detach());
  impl_->progress.enter(Event::kAgreeing, Stage::kAgree, kStartRound);
  try {
    impl_->collectives.broadcast(weights);
  } catch (const std::exception& error) {
    impl_->progress.watch().symptom(Stage::kAgree, error.what());
  }
  impl_->progress.enter(Event::kAgreed, Stage::kStep);
  std::vector<at::Tensor> reduced = impl_->model->parameters();
  reduced.push_back(impl_->loss_carrier);
  impl_->collectives.reduce_gradients_of(reduced, [impl = impl_.get()](int64_t size, bool is_last) {
    impl->on_bucket(size, is_last);
  });
}

void TrainingStep::add(const loader::Batch& batch, bool is_last) {
  if (std::exchange(impl_->is_fresh, false)) {
    impl_->sgd.zero_grad();
    impl_->loss_carrier.mutable_grad() = at::Tensor();
  }
  const at::Tensor rows = impl_->choose_rows(batch);
  std::optional<BuffersKept> kept;
  if (!*impl_->counts) kept.emplace(impl_->model->buffers());
  impl_->backward(impl_->loss_sum(batch, rows), is_last);
}

double TrainingStep::finish(int64_t valid_over_all_ranks) {
  impl_->is_fresh = true;
  const double scale = static_cast<double>(impl_->collectives.world_size()) /
                       static_cast<double>(valid_over_all_ranks);
  for (const at::Tensor& parameter : impl_->model->parameters()) {
    if (parameter.grad().defined()) parameter.mutable_grad().mul_(scale);
  }
  return impl_->loss_carrier.grad().item<double>() * scale;
}

void TrainingStep::update_weights() {
  impl_->progress.enter(Event::kOptimizerCalled, Stage::kOptimizer);
  impl_->sgd.step();
}

std::string TrainingStep::save() const {
  torch::serialize::OutputArchive archive;
  torch::serialize::OutputArchive model(archive.compilation_unit());
  torch::serialize::OutputArchive optimizer(archive.compilation_unit());
  impl_->model->save(model);
  impl_->sgd.save(optimizer);
  archive.write("model", model);
  archive.write("optimizer", optimizer);
  std::ostringstream bytes;
  archive.save_to(bytes);
  return bytes.str();
}

void TrainingStep::load(const std::string& saved, bool with_weights) {
  torch::serialize::InputArchive archive;
  archive.load_from(saved.data(), saved.size());
  torch::serialize::InputArchive model;
  torch::serialize::InputArchive optimizer;
  archive.read("model", model);
  archive.read("optimizer", optimizer);
  if (with_weights) impl_->model->load(model);
  impl_->sgd.load(optimizer);
  // The config's, also if it was another one then.
  for (auto& group : impl_->sgd.param_groups()) group.options().set_lr(impl_->spec.lr);
}

}  // namespace batch71::ddp
