// One rank's epochs and steps.
#include "ddp/step_loop.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "ddp/error_text.h"
#include "ddp/model.h"
#include "loader/hash.h"
#include "loader/rank_output.h"
#include "trace/errors.h"

namespace batch71::ddp {
namespace {

using trace::Event;
using trace::Stage;

// `refusal`: what rank 0 knows already; an earlier attempt that has not ended may hold its port too.
Collectives meet(const Environment& env, const loader::Guards& guards, const std::string& refusal,
                 Progress& progress) {
  try {
    return Collectives(env, guards.startup_deadline_ms);
  } catch (const UsageError& error) {
    throw UsageError(refusal.empty() ? error.what() : refusal);
  } catch (const std::exception& error) {
    progress.watch().symptom(Stage::kSetup, "the ranks did not meet: " + first_line(error.what()));
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
      refusal_(open_folder()),
      collectives_(meet(env, config.loader.guards, refusal_, progress)),
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
  side.shard_digest = static_cast<int64_t>(loader_.dataset().shard_digest());
  return side;
}

// Before the rendezvous, since an earlier attempt may be about to end. Returns why it cannot be, for all
// ranks to leave together.
std::string StepLoop::open_folder() {
  const std::string& path = config_.trainer.checkpoint_dir;
  if (path.empty() || env_.rank != 0) return {};
  const loader::Guards& guards = config_.loader.guards;
  try {
    folder_.emplace(path, guards.verdict_grace_ms + guards.shutdown_deadline_ms);
  } catch (const UsageError& error) {
    return error.what();
  }
  if (!folder_->removed().empty()) {
    loader::print_lines(env_.rank, "leftover",
                        folder_->removed() + " of an earlier attempt is removed");
  }
  return {};
}

std::optional<Checkpoint> StepLoop::receive_checkpoint() {
  const std::string refusal = rounds_.share(refusal_);
  if (!refusal.empty()) refuse(refusal);
  const std::string bytes = rounds_.share(folder_ ? folder_->found() : std::string());
  if (bytes.empty()) return std::nullopt;
  return decode(bytes, config_.trainer.checkpoint_dir);
}

void StepLoop::enter_epoch(int32_t epoch, const EpochSide& side) {
  state_.world_size = side.world_size;
  state_.seed = side.seed;
  state_.parameter_digest = static_cast<uint64_t>(side.parameter_digest);
  state_.manifest_digest = static_cast<uint64_t>(side.manifest_digest);
  state_.plan_digest = rounds_.joint_plan();
  state_.epoch = epoch;
  state_.batches = 0;
  state_.samples = 0;
}

// The ranks agreed on what they have in common: now on the weights.
void StepLoop::begin() {
  if (found_) resume(*found_);
  found_.reset();
  training_.begin();
  ledger_.begun(steps());
  has_begun_ = true;
}

void StepLoop::resume(const Checkpoint& from) {
  std::string why = why_refused(from.state, state_);
  try {
    if (why.empty()) training_.load(from.weights, env_.rank == 0);
  } catch (const std::exception& error) {
    why = fmt::format("was saved of another model ({})", first_line(error.what()));
  }
  const std::string why_for_all = rounds_.share(why);
  if (!why_for_all.empty()) {
    refuse(fmt::format(
        "{}: the checkpoint {}; go on with that, or name another trainer.checkpoint_dir",
        config_.trainer.checkpoint_dir, why_for_all));
  }
  if (!why.empty()) throw std::runtime_error("the checkpoint " + why);  // on this rank alone
  state_ = from.state;
  saved_steps_ = state_.steps;
  rounds_.set_dummies(state_.dummies);
  progress_.trace().incident(Event::kResumed, Stage::kSetup, to_text(state_));
  if (folder_) loader::print_lines(env_.rank, "resumed", to_text(state_));
}

// All ranks come here together, and none is to blame.
void StepLoop::refuse(const std::string& line) {
  progress_.trace().incident(Event::kError, Stage::kSetup, line);
  progress_.watch().done();
  rounds_.meet();
  throw UsageError(line);
}

// Every rank has its first batch: what is slow to start is over.
void StepLoop::end_start() {
  collectives_.set_deadline_ms(config_.loader.guards.collective_deadline_ms);
  progress_.watch().under_way();
  is_under_way_ = true;
}

bool StepLoop::is_finished() const {
  const Trainer& trainer = config_.trainer;
  return state_.epoch >= trainer.max_epochs ||
         (trainer.max_steps >= 0 && state_.steps >= trainer.max_steps);
}

void StepLoop::end_step() {
  double loss = std::numeric_limits<double>::quiet_NaN();
  if (step_.valid > 0) {  // otherwise no rank has anything to learn from, and all skip alike
    loss = training_.finish(step_.valid);
    if (!std::isfinite(loss)) {
      progress_.watch().leave(ExitCode::kNonFiniteLoss, "the loss over all ranks is not finite");
    }
    training_.update_weights();
    state_.loss = loss;
  }
  ledger_.consumed(state_.steps, loss);
  ++state_.steps;
  step_ = {};
  if (state_.steps % config_.trainer.checkpoint_every_steps == 0) save();
}

// First every rank's ledger, then the state: so a ledger never lacks what the weights have learnt. What it
// has beyond that, the next attempt's beginning takes back.
void StepLoop::save() {
  if (config_.trainer.checkpoint_dir.empty() || saved_steps_ == state_.steps) return;
  saved_steps_ = state_.steps;
  ledger_.sync();
  rounds_.meet();
  if (!folder_) return;
  progress_.enter(Event::kCheckpointing, Stage::kCheckpoint, state_.steps);
  state_.dummies = dummies();
  const int64_t size_bytes = folder_->write({state_, training_.save()});
  progress_.enter(Event::kCheckpointed, Stage::kStep, state_.steps, size_bytes);
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
  state_.batches = number + 1;
  state_.samples += sums.samples;
  const bool is_last =
      step_.batches == config_.trainer.accumulate_grad_batches || number + 1 == num_batches;
  // Where no rank has anything valid, all skip alike; but not where gradients are still to be reduced.
  if (sums.valid > 0 || (is_last && step_.valid > 0)) {
    training_.add(batch ? *batch : stream_.shadow(number), is_last);
  }
  if (is_last) end_step();
  progress_.enter(Event::kStepDone, Stage::kStep, std::bit_cast<int64_t>(state_.loss), sums.valid);
  return true;
}

void StepLoop::run_epoch(int32_t epoch) {
  progress_.trace().begin({epoch, -1, -1});
  loader::EpochPlan plan = loader_.plan(epoch);
  own_batches_ = static_cast<int32_t>(plan.batches.size());
  const EpochSide side = own_side();
  const int32_t num_batches = rounds_.before_epoch(side, plan);
  enter_epoch(epoch, side);
  if (!has_begun_) begin();
  int32_t number = state_.batches;
  plan.first_batch = std::min(static_cast<size_t>(number), plan.batches.size());
  stream_.start_epoch(std::move(plan));
  for (; number < num_batches && !is_finished(); ++number) {
    progress_.trace().begin({epoch, number, -1});
    if (!run_batch(number, num_batches)) break;
  }
  // All ran dry before their plans said so, in the middle of a step: it ends with what it has.
  if (step_.batches > 0) {
    if (step_.valid > 0) training_.add(stream_.shadow(number), true);
    end_step();
    progress_.enter(Event::kStepDone, Stage::kStep, std::bit_cast<int64_t>(state_.loss));
  }
}

void StepLoop::run() {
  found_ = receive_checkpoint();
  int32_t epoch = found_ ? found_->state.epoch : 0;
  do {
    run_epoch(epoch++);
  } while (epoch < config_.trainer.max_epochs && !is_finished());
  save();
  rounds_.meet();
  progress_.trace().incident(Event::kDone, Stage::kShutdown, {}, dummies());
  progress_.watch().done();
  progress_.watch().enter(Stage::kShutdown, progress_.trace().place());
  ledger_.done(steps(), dummies());
}

}  // namespace batch71::ddp
