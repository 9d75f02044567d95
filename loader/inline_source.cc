// Decoding in the training thread.
#include "loader/inline_source.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>

#include "loader/observer.h"
#include "trace/clock.h"

namespace batch71::loader {

void CurrentItem::set(const trace::Place& place) {
  const std::lock_guard lock(mutex_);
  value_ = Value{place, trace::monotonic_ns()};
}
void CurrentItem::clear() {
  const std::lock_guard lock(mutex_);
  value_.reset();
}
void CurrentItem::forgive(uint64_t ns) {
  const std::lock_guard lock(mutex_);
  if (value_) value_->since_ns += ns;
}
std::optional<CurrentItem::Value> CurrentItem::get() const {
  const std::lock_guard lock(mutex_);
  return value_;
}

void InlineWatch::observe_main(const CurrentItem::Value& item, trace::Writer& trace) {
  Suspect main;
  main.who = "rank" + std::to_string(parts_->spec.rank) + ".main";
  main.pid = getpid();
  main.trace_path = main_trace_path_;
  observe(main, item.place, trace);
}

uint64_t InlineWatch::act(uint64_t now_ns, uint64_t paused_ns, trace::Writer& trace) {
  if (parts_->failed) return UINT64_MAX;
  current_->forgive(paused_ns);
  // An item that began after `now` was read is looked at the next time.
  const std::optional<CurrentItem::Value> item = current_->get();
  const uint64_t deadline_ns = parts_->item_deadline_ns();
  const uint64_t observe_ns = uint64_t{1'000'000} * parts_->spec.config.guards.observe_after_ms;
  // The training thread rings for no item: the watch looks often enough for the deadline.
  if (!item || item->since_ns > now_ns) return now_ns + std::min<uint64_t>(deadline_ns, 20'000'000);
  const uint64_t age_ns = now_ns - item->since_ns;
  if (age_ns >= deadline_ns) {
    observe_main(*item, trace);
    trace.incident_at(
        item->place, trace::Event::kLost, newest_stage(main_trace_path_),
        "item: the training thread is stuck in it; num_workers: 0 cannot take it back");
    parts_->fatal(
        {ExitCode::kItemStuck, "item " + std::to_string(item->place.index) + " (" +
                                   parts_->dataset->file(item->place.index) +
                                   ") is not done within item_deadline_ms, and with num_workers: 0 "
                                   "it cannot be taken back"});
    return UINT64_MAX;
  }
  if (age_ns >= observe_ns && observed_since_ns_ != item->since_ns) {
    observed_since_ns_ = item->since_ns;
    observe_main(*item, trace);
  }
  const uint64_t next_ns = age_ns < observe_ns ? std::min(observe_ns, deadline_ns) : deadline_ns;
  return std::min(item->since_ns + next_ns, now_ns + 20'000'000);
}

InlineSource::InlineSource(std::shared_ptr<LoaderParts> parts, trace::Writer& trace)
    : parts_(std::move(parts)),
      trace_(trace),
      noise_(noise_mixer(parts_->noise, parts_->spec.config)),
      item_work_(*parts_->dataset, noise_.get(), *parts_->featurizer,
                 parts_->spec.config.guards.finite_check, trace),
      current_(std::make_shared<CurrentItem>()),
      watch_(parts_->spec.run_folder, parts_->spec.rank, parts_->spec.world_size, parts_->bell,
             std::make_shared<InlineWatch>(parts_, current_, trace.path())) {}

void InlineSource::start_epoch(EpochPlan plan) {
  plan_ = std::move(plan);
  next_batch_ = plan_.first_batch;
}

void InlineSource::fatal(ExitCode code, const std::string& why) {
  parts_->fatal({code, why});
  throw LoaderFatal({code, why});
}

// Another thread of the program may let go of a batch meanwhile.
int InlineSource::take_slot() {
  const int slot = parts_->slots->take_within(std::chrono::nanoseconds(parts_->item_deadline_ns()));
  if (slot >= 0) return slot;
  trace_.incident(trace::Event::kLost, trace::Stage::kFetch,
                  "slots: every slot for a batch is kept by the program");
  fatal(ExitCode::kFailure,
        "starved: the program keeps every batch that it was given; let go of their tensors");
}

void InlineSource::work_on(BatchWork& work, size_t position) {
  Item& item = work.items[position];
  const auto seed = static_cast<uint64_t>(parts_->spec.config.train_ds.seed);
  current_->set({work.epoch, work.batch, item.index});
  const FeatureView view = parts_->shape.view(parts_->slots->data(work.slot), work, position);
  const ItemOutcome outcome = item_work_.process({item.index, work.epoch, work.batch, seed}, view);
  current_->clear();
  if (outcome.done) {
    item.frames = outcome.frames;
    item.state = ItemState::kDecoded;
    --work.unfinished;
    return;
  }
  parts_->dummies.make(work, position, {outcome.reason, outcome.why, outcome.stage, -1}, trace_);
  if (parts_->spec.config.guards.on_bad_item == OnBadItem::kRethrow) {
    fatal(ExitCode::kErrorBudgetSpent, "item " + std::to_string(item.index) + " is bad (" +
                                           std::string(name(outcome.reason)) + ": " + outcome.why +
                                           ") and on_bad_item is rethrow");
  }
}

BatchWork InlineSource::take() {
  BatchWork work = parts_->shape.begin(plan_.epoch, static_cast<int32_t>(next_batch_),
                                       plan_.batches.at(next_batch_));
  ++next_batch_;
  work.slot = take_slot();
  for (size_t position = 0; position < work.items.size(); ++position) work_on(work, position);
  return work;
}

}  // namespace batch71::loader
