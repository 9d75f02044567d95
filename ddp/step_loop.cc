// One rank's epochs and steps.
#include "ddp/step_loop.h"

#include <bit>
#include <cmath>
#include <limits>

#include "ddp/model.h"
#include "loader/hash.h"
#include "trace/errors.h"

namespace batch71::ddp {
namespace {

using trace::Event;
using trace::Stage;

Collectives meet(const Environment& env, const loader::Guards& guards, Progress& progress) {
  try {
    return Collectives(env, guards.startup_deadline_ms);
  } catch (const UsageError& error) {
    progress.trace().incident(Event::kEnding, Stage::kSetup, error.what(),
                              static_cast<int64_t>(ExitCode::kUsage));  // nobody need wait for us
    throw;
  } catch (const std::exception& error) {
    progress.watch().symptom(Stage::kSetup, error.what());
  }
}

std::shared_ptr<Model> make_model(const Seams& seams, loader::Loader& loader) {
  return seams.model({seams.featurizer()->channels(), loader.dataset().num_classes()});
}

// Unlike on each rank: what a model draws should not be the same everywhere.
uint64_t seed_of_rank(const JobConfig& config, int rank) {
  return loader::mix(static_cast<uint64_t>(config.loader.train_ds.seed)) +
         static_cast<uint64_t>(rank);
}

}  // namespace

StepLoop::StepLoop(const Environment& env, const JobConfig& config, const Seams& seams,
                   loader::Loader& loader, Progress& progress)
    : env_(env),
      config_(config),
      loader_(loader),
      progress_(progress),
      ledger_(env.ledger_path, env.rank),
      collectives_(meet(env, config.loader.guards, progress)),
      training_(make_model(seams, loader), {config.trainer.lr, seed_of_rank(config, env.rank)},
                collectives_, progress),
      rounds_(collectives_, progress, config.loader.guards),
      stream_(loader, config, seams, progress) {}

EpochSide StepLoop::own_side() const {
  EpochSide side;
  side.world_size = env_.world_size;
  side.seed = config_.loader.train_ds.seed;
  side.config_digest = static_cast<int64_t>(loader::digest(config_.loader));
  side.trainer_digest = static_cast<int64_t>(digest(config_.trainer));
  side.parameter_digest = static_cast<int64_t>(training_.parameter_digest());
  side.manifest_digest = static_cast<int64_t>(loader_.data_digest());
  return side;
}

// The ranks agreed on the shapes of the weights: now on the weights.
void StepLoop::begin() {
  training_.begin();
  has_begun_ = true;
}

// Every rank has its first batch: what is slow to start is over.
void StepLoop::end_start() {
  collectives_.set_deadline_ms(config_.loader.guards.collective_deadline_ms);
  progress_.watch().under_way();
  is_under_way_ = true;
}

bool StepLoop::is_finished() const {
  return config_.trainer.max_steps >= 0 && steps_ >= config_.trainer.max_steps;
}

void StepLoop::end_step() {
  double loss = std::numeric_limits<double>::quiet_NaN();
  if (step_.valid > 0) {  // otherwise no rank has anything to learn from, and all skip alike
    loss = training_.finish(step_.valid);
    if (!std::isfinite(loss)) {
      progress_.watch().leave(ExitCode::kNonFiniteLoss, "the loss over all ranks is not finite");
    }
    training_.update_weights();
    loss_ = loss;
  }
  ledger_.consumed(steps_, loss);
  ++steps_;
  step_ = {};
}

bool StepLoop::run_batch(int32_t number, int32_t num_batches) {
  progress_.enter(Event::kStepStarted, Stage::kStep);
  const std::optional<loader::Batch> batch = stream_.fetch(number);
  const Rounds::Sums sums = rounds_.before_batch(batch, number);
  if (!is_under_way_) end_start();
  if (sums.ranks_with_data == 0) return false;
  if (batch) ledger_.received(*batch, number >= own_batches_);
  ++step_.batches;
  step_.valid += sums.valid;
  const bool is_last =
      step_.batches == config_.trainer.accumulate_grad_batches || number + 1 == num_batches;
  // Where no rank has anything valid, all skip alike; but not where gradients are still to be reduced.
  if (sums.valid > 0 || (is_last && step_.valid > 0)) {
    training_.add(batch ? *batch : stream_.shadow(number), is_last);
  }
  if (is_last) end_step();
  progress_.enter(Event::kStepDone, Stage::kStep, std::bit_cast<int64_t>(loss_), sums.valid);
  return true;
}

void StepLoop::run_epoch(int32_t epoch) {
  progress_.trace().begin({epoch, -1, -1});
  loader::EpochPlan plan = loader_.plan(epoch);
  own_batches_ = static_cast<int32_t>(plan.batches.size());
  const int32_t num_batches = rounds_.before_epoch(own_side(), plan);
  if (!has_begun_) begin();
  stream_.start_epoch(std::move(plan));
  int32_t number = 0;
  for (; number < num_batches && !is_finished(); ++number) {
    progress_.trace().begin({epoch, number, -1});
    if (!run_batch(number, num_batches)) break;
  }
  // All ran dry before their plans said so, in the middle of a step: it ends with what it has.
  if (step_.batches > 0) {
    if (step_.valid > 0) training_.add(stream_.shadow(number), true);
    end_step();
    progress_.enter(Event::kStepDone, Stage::kStep, std::bit_cast<int64_t>(loss_));
  }
}

void StepLoop::run() {
  for (int32_t epoch = 0; epoch < config_.trainer.max_epochs && !is_finished(); ++epoch) {
    run_epoch(epoch);
  }
  rounds_.at_end();
  progress_.trace().incident(Event::kDone, Stage::kShutdown, {}, dummies());
  progress_.watch().done();
  progress_.watch().enter(Stage::kShutdown, progress_.trace().place());
  ledger_.done(steps_, dummies());
}

}  // namespace batch71::ddp
