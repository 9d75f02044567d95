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
  } catch (const UsageError&) {
    throw;
  } catch (const std::exception& error) {
    progress.watch().symptom(Stage::kSetup, error.what());
  }
}

std::shared_ptr<Model> make_model(const Seams& seams, loader::Loader& loader) {
  return seams.model({seams.featurizer()->channels(), loader.dataset().num_classes()});
}

uint64_t digest(const Trainer& trainer) {
  loader::Digest digest;
  digest.add(static_cast<uint64_t>(trainer.max_steps));
  digest.add(static_cast<uint64_t>(trainer.max_epochs));
  digest.add(std::bit_cast<uint64_t>(trainer.lr));
  digest.add(static_cast<uint64_t>(trainer.model_seed));
  return digest.value();
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
      training_(make_model(seams, loader), config.trainer.lr, collectives_, progress),
      rounds_(collectives_, progress, config.loader.guards) {}

EpochSide StepLoop::own_side() const {
  EpochSide side;
  side.world_size = env_.world_size;
  side.seed = config_.loader.train_ds.seed;
  side.config_digest = static_cast<int64_t>(loader::digest(config_.loader));
  side.trainer_digest = static_cast<int64_t>(digest(config_.trainer));
  side.parameter_digest = static_cast<int64_t>(training_.parameter_digest());
  side.manifest_digest = static_cast<int64_t>(loader_.dataset().digest());
  return side;
}

std::optional<loader::Batch> StepLoop::fetch() {
  progress_.watch().enter(Stage::kFetch, progress_.trace().place());
  try {
    return loader_.next();
  } catch (const loader::LoaderFatal& fatal) {
    progress_.watch().leave(fatal.fatal().code, fatal.fatal().why);
  }
}

void StepLoop::train_on(const loader::Batch& batch, int64_t valid, bool is_repeat) {
  ledger_.received(batch);
  double loss = std::numeric_limits<double>::quiet_NaN();
  if (valid > 0) {  // otherwise no rank has anything to learn from, and all skip alike
    loss = training_.gradients(batch, valid);
    if (!std::isfinite(loss)) {
      progress_.watch().leave(ExitCode::kNonFiniteLoss, "the loss over all ranks is not finite");
    }
    training_.update_weights();
    loss_ = loss;
  }
  progress_.enter(Event::kStepDone, Stage::kStep, std::bit_cast<int64_t>(loss_), valid);
  ledger_.consumed(batch, loss, is_repeat);
}

// Every rank has its first batch: what is slow to start is over.
void StepLoop::end_start() {
  collectives_.set_deadline_ms(config_.loader.guards.collective_deadline_ms);
  progress_.watch().under_way();
}

bool StepLoop::is_finished() const {
  return config_.trainer.max_steps >= 0 && step_ >= config_.trainer.max_steps;
}

void StepLoop::run_epoch(int32_t epoch) {
  progress_.trace().begin({epoch, -1, -1});
  loader::EpochPlan plan = loader_.plan(epoch);
  const auto own_batches = static_cast<int32_t>(plan.batches.size());
  rounds_.before_epoch(own_side(), plan);
  if (step_ == 0) training_.begin();
  const auto batches = static_cast<int32_t>(plan.batches.size());
  loader_.start_epoch(std::move(plan));
  for (int32_t batch = 0; batch < batches && !is_finished(); ++batch, ++step_) {
    progress_.trace().begin({epoch, batch, -1});
    progress_.enter(Event::kStepStarted, Stage::kStep);
    const std::optional<loader::Batch> fetched = fetch();
    const int64_t valid = rounds_.before_step(fetched, step_);
    if (step_ == 0) end_start();
    train_on(*fetched, valid, batch >= own_batches);
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
  ledger_.done(step_, dummies());
}

}  // namespace batch71::ddp
