// One rank's epochs and steps.
#include "ddp/step_loop.h"

#include <ATen/Functions.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace batch71::ddp {
namespace {

using trace::Event;
using trace::Stage;

std::shared_ptr<Model> make_model(const JobConfig& config, const Seams& seams,
                                  loader::Loader& loader) {
  const auto featurizer = seams.featurizer();
  (void)config;
  return seams.model({featurizer->channels(), loader.dataset().num_classes()});
}

}  // namespace

StepLoop::StepLoop(const Environment& env, const JobConfig& config, const Seams& seams,
                   loader::Loader& loader, StepWatch& watch, trace::Writer& trace)
    : env_(env),
      config_(config),
      loader_(loader),
      watch_(watch),
      trace_(trace),
      ledger_(env.ledger_path, env.rank),
      collectives_(env, config.loader.guards.startup_deadline_ms,
                   config.loader.guards.collective_deadline_ms),
      model_(make_model(config, seams, loader)),
      optimizer_(std::make_unique<torch::optim::SGD>(model_->parameters(),
                                                     torch::optim::SGDOptions(config.trainer.lr))) {
  collectives_.reduce_gradients_of(model_->parameters(), [this](int64_t size_bytes) {
    enter(Event::kAllreduceStarted, Stage::kAllreduce, size_bytes);
  });
}

void StepLoop::enter(Event event, Stage stage, int64_t arg0, int64_t arg1) {
  trace_.record(event, stage, arg0, arg1);
  watch_.enter(stage, trace_.place());
}

std::vector<int64_t> StepLoop::sum(const std::vector<int64_t>& mine) {
  enter(Event::kAgreeing, Stage::kAgree, 1);
  try {
    std::vector<int64_t> all = collectives_.sum(mine);
    enter(Event::kAgreed, Stage::kStep);
    return all;
  } catch (const std::exception& error) {
    watch_.symptom(Stage::kAgree, error.what());
  }
}

std::vector<EpochSide> StepLoop::gather(const EpochSide& mine) {
  enter(Event::kAgreeing, Stage::kAgree, 0);
  trace_.incident(Event::kAgreementText, Stage::kAgree, to_text(mine));
  try {
    std::vector<EpochSide> sides;
    for (const auto& row : collectives_.gather(mine.row()))
      sides.push_back(EpochSide::from_row(row));
    enter(Event::kAgreed, Stage::kStep);
    return sides;
  } catch (const std::exception& error) {
    watch_.symptom(Stage::kAgree, error.what());
  }
}

int64_t StepLoop::parameter_digest() const {
  int64_t digest = 17;
  for (const at::Tensor& parameter : model_->parameters()) {
    for (const int64_t size : parameter.sizes()) digest = digest * 31 + size;
    digest = digest * 31 + 7;
  }
  return digest;
}

loader::EpochPlan StepLoop::agree_on_epoch(int32_t epoch) {
  loader::EpochPlan plan = loader_.plan(epoch);
  const bool is_sharded =
      config_.loader.train_ds.manifest_filepath.find("{rank}") != std::string::npos;
  EpochSide mine;
  mine.batches = static_cast<int64_t>(plan.batches.size());
  for (const auto& batch : plan.batches) mine.samples += static_cast<int64_t>(batch.indices.size());
  mine.epoch = epoch;
  mine.world_size = env_.world_size;
  mine.config_digest = static_cast<int64_t>(loader::digest(config_.loader));
  mine.parameter_digest = parameter_digest();
  mine.manifest_digest = is_sharded ? 0 : static_cast<int64_t>(loader_.dataset().digest());
  const std::vector<EpochSide> sides = gather(mine);
  if (const std::string odd = disagreement(sides); !odd.empty()) {
    trace_.incident(Event::kDisagreement, Stage::kAgree, odd);
    watch_.end_together(ExitCode::kRanksDisagree, odd);
  }
  even_out(plan, sides);
  return plan;
}

void StepLoop::even_out(loader::EpochPlan& plan, const std::vector<EpochSide>& sides) {
  own_batches_ = static_cast<int64_t>(plan.batches.size());
  const std::string uneven = unevenness(sides);
  if (uneven.empty()) return;
  const auto [least, most] = std::minmax_element(
      sides.begin(), sides.end(),
      [](const EpochSide& a, const EpochSide& b) { return a.batches < b.batches; });
  switch (config_.loader.guards.uneven) {
    case loader::Uneven::kFail:
      trace_.incident(Event::kDisagreement, Stage::kAgree, uneven);
      watch_.end_together(ExitCode::kRanksDisagree, uneven);
    case loader::Uneven::kPad:
      loader::extend(plan, most->batches);
      trace_.incident(Event::kPadded, Stage::kAgree, uneven, plan.batches_repeated);
      break;
    case loader::Uneven::kDrop:
      loader::truncate(plan, least->batches);
      trace_.incident(Event::kDropped, Stage::kAgree, uneven, plan.samples_dropped);
      break;
  }
}

std::optional<loader::Batch> StepLoop::fetch() {
  watch_.enter(Stage::kFetch, trace_.place());
  try {
    return loader_.next();
  } catch (const loader::LoaderFatal& fatal) {
    watch_.end_together(fatal.fatal().code, fatal.fatal().why);
  }
}

StepLoop::Agreed StepLoop::agree_on_step(const std::optional<loader::Batch>& batch) {
  const int64_t has_data = batch ? 1 : 0;
  const int64_t valid = batch ? batch->num_valid() : 0;
  const int64_t dummies = batch ? static_cast<int64_t>(batch->dummies.size()) : 0;
  // The sum of squares tells ranks that are a step apart: equal to all means a variance of zero.
  const std::vector<int64_t> all = sum({has_data, valid, dummies, step_, step_ * step_});
  const int64_t world = env_.world_size;
  if (all[3] != world * step_ || all[4] != world * step_ * step_ || all[0] % world != 0) {
    const std::string odd = fmt::format(
        "kind=ranks_disagree rank=-1 what=step mine={} ranks_with_data={}", step_, all[0]);
    trace_.incident(Event::kDisagreement, Stage::kAgree, odd);
    watch_.end_together(ExitCode::kRanksDisagree, odd);
  }
  dummies_ += all[2];
  if (dummies_ > config_.loader.guards.error_budget) {
    const std::string why = fmt::format("{} dummy items over all ranks, guards.error_budget is {}",
                                        dummies_, config_.loader.guards.error_budget);
    trace_.incident(Event::kLost, Stage::kAgree, "budget " + why);
    watch_.end_together(ExitCode::kErrorBudgetSpent, why);
  }
  return {all[1], all[0] == 0};
}

double StepLoop::forward_and_backward(const loader::Batch& batch, int64_t valid) {
  const at::Tensor rows = batch.is_dummy.logical_not().nonzero().squeeze(1);
  enter(Event::kForwardCalled, Stage::kForward);
  const at::Tensor outputs = model_->forward(batch);
  enter(Event::kForwardDone, Stage::kLoss);
  // Selection, never multiplication: NaN * 0 is NaN. Nothing valid here: a sum over no rows.
  const at::Tensor chosen = outputs.index_select(0, rows);
  at::Tensor loss = rows.numel() > 0 ? model_->loss_sum(chosen, batch.labels.index_select(0, rows))
                                     : chosen.sum();
  // The Reducer divides by the world size; the loss is to be divided by what is valid over all ranks.
  loss = loss * (static_cast<double>(env_.world_size) / static_cast<double>(valid));
  const double value = loss.item<double>();
  enter(Event::kLossDone, Stage::kLoss, std::bit_cast<int64_t>(value));
  enter(Event::kBackwardCalled, Stage::kBackward);
  try {
    collectives_.prepare_for_backward();
    loss.backward();
  } catch (const std::exception& error) {
    watch_.symptom(Stage::kAllreduce, error.what());
  }
  enter(Event::kAllreduceDone, Stage::kStep);
  return value;
}

void StepLoop::train_on(const loader::Batch& batch, const Agreed& agreed) {
  if (agreed.valid > 0) {
    optimizer_->zero_grad();
    last_loss_ = forward_and_backward(batch, agreed.valid);
    // Gradients are the same everywhere: so is what each rank sees here, before any weight changes.
    const auto parameters = model_->parameters();
    const bool is_finite =
        std::all_of(parameters.begin(), parameters.end(),
                    [](const at::Tensor& p) { return p.grad().isfinite().all().item<bool>(); });
    if (!is_finite) {
      watch_.end_together(ExitCode::kNonFiniteLoss,
                          fmt::format("the gradients of step {} are not finite", step_));
    }
    enter(Event::kOptimizerCalled, Stage::kOptimizer);
    optimizer_->step();
  }
  enter(Event::kStepDone, Stage::kStep, std::bit_cast<int64_t>(last_loss_), agreed.valid);
  ledger_.consumed(batch, last_loss_, batch.batch >= own_batches_);
}

bool StepLoop::is_finished() const {
  return config_.trainer.max_steps >= 0 && step_ >= config_.trainer.max_steps;
}

void StepLoop::run_epoch(int32_t epoch) {
  loader_.start_epoch(agree_on_epoch(epoch));
  for (int32_t number = 0; !is_finished(); ++number, ++step_) {
    trace_.begin({epoch, number, -1});
    enter(Event::kStepStarted, Stage::kStep);
    const std::optional<loader::Batch> batch = fetch();
    const Agreed agreed = agree_on_step(batch);
    if (agreed.everybody_is_done) return;
    train_on(*batch, agreed);
  }
}

void StepLoop::run() {
  for (int32_t epoch = 0; epoch < config_.trainer.max_epochs && !is_finished(); ++epoch) {
    run_epoch(epoch);
  }
  sum({step_});  // nobody leaves while another one is still at work
  trace_.incident(Event::kDone, Stage::kShutdown, {}, dummies_);
  watch_.enter(Stage::kShutdown, trace_.place());
  ledger_.done(step_, dummies_);
}

}  // namespace batch71::ddp
