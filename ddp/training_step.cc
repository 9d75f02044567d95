// Forward, loss, backward, SGD.
#include "ddp/training_step.h"

#include <ATen/ops/zeros.h>
#include <torch/optim/sgd.h>

#include <bit>

#include "ddp/model.h"
#include "loader/hash.h"

namespace batch71::ddp {
namespace {

using trace::Event;
using trace::Stage;

}  // namespace

class TrainingStep::Impl {
 public:
  Impl(std::shared_ptr<Model> with, double lr, Collectives& using_collectives, Progress& tell)
      : model(std::move(with)),
        sgd(model->parameters(), torch::optim::SGDOptions(lr)),
        collectives(using_collectives),
        progress(tell),
        loss_carrier(at::zeros({}).requires_grad_()) {}

  // The sum over this rank's valid rows, times `scale`.
  at::Tensor scaled_loss(const loader::Batch& batch, double scale) {
    const at::Tensor rows = batch.is_dummy.logical_not().nonzero().squeeze(1);
    progress.enter(Event::kForwardCalled, Stage::kForward);
    const at::Tensor outputs = model->forward(batch);
    progress.enter(Event::kForwardDone, Stage::kLoss);
    const at::Tensor chosen = outputs.index_select(0, rows);
    // Without a valid row: a sum over nothing, whose gradients are zeros that the Reducer waits for.
    const at::Tensor sum = rows.numel() > 0
                               ? model->loss_sum(chosen, batch.labels.index_select(0, rows))
                               : chosen.sum();
    progress.enter(Event::kLossDone, Stage::kLoss, std::bit_cast<int64_t>(sum.item<double>()));
    return sum * scale;
  }

  void backward(const at::Tensor& loss) {
    reducing = false;
    progress.enter(Event::kBackwardCalled, Stage::kBackward);
    try {
      collectives.prepare_for_backward();
      loss.backward();
    } catch (const std::exception& error) {
      if (!reducing) throw;  // the model's own
      progress.watch().symptom(Stage::kAllreduce, error.what());
    }
    progress.enter(Event::kAllreduceDone, Stage::kStep);
  }

  // Before the last bucket main still computes gradients; after it, it can only wait for others.
  void on_bucket(int64_t size_bytes, bool is_last) {
    reducing = true;
    progress.enter(Event::kAllreduceStarted, is_last ? Stage::kAllreduce : Stage::kBackward,
                   size_bytes);
  }

  std::shared_ptr<Model> model;
  torch::optim::SGD sgd;
  Collectives& collectives;
  Progress& progress;
  // A parameter that is always 0 and whose gradient is the loss: so the all-reduce of the gradients
  // averages the loss too, and every rank knows the same one before the optimizer.
  at::Tensor loss_carrier;
  bool reducing = false;
};

TrainingStep::TrainingStep(std::shared_ptr<Model> model, double lr, Collectives& collectives,
                           Progress& progress)
    : impl_(std::make_unique<Impl>(std::move(model), lr, collectives, progress)) {}

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
  impl_->collectives.broadcast(weights);
  std::vector<at::Tensor> reduced = impl_->model->parameters();
  reduced.push_back(impl_->loss_carrier);
  impl_->collectives.reduce_gradients_of(reduced, [impl = impl_.get()](int64_t size, bool is_last) {
    impl->on_bucket(size, is_last);
  });
}

double TrainingStep::gradients(const loader::Batch& batch, int64_t valid_over_all_ranks) {
  impl_->sgd.zero_grad();
  impl_->loss_carrier.mutable_grad() = at::Tensor();
  const double scale = static_cast<double>(impl_->collectives.world_size()) /
                       static_cast<double>(valid_over_all_ranks);
  const at::Tensor loss = impl_->scaled_loss(batch, scale);
  impl_->backward(loss + impl_->loss_carrier * loss.detach());
  return impl_->loss_carrier.grad().item<double>();
}

void TrainingStep::update_weights() {
  impl_->progress.enter(Event::kOptimizerCalled, Stage::kOptimizer);
  impl_->sgd.step();
}

}  // namespace batch71::ddp
