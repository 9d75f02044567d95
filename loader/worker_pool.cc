// The pool's turn: everything that is due, in a fixed order.
#include "loader/worker_pool.h"

#include <algorithm>
#include <utility>

#include "trace/clock.h"

namespace batch71::loader {
namespace {

constexpr uint64_t kMs = 1'000'000;

// Workers that live, those that are being killed, and a few that are deaf.
int mailbox_count(const TrainDs& config) { return 3 * config.num_workers + 2 * kSpareSlots; }

ChildSetup child_setup(const LoaderParts& parts, const Mailboxes& mailboxes) {
  return {parts.spec.config,
          parts.spec.rank,
          parts.spec.world_size,
          parts.spec.run_folder,
          parts.spec.dataset,
          parts.spec.featurizer,
          parts.noise,
          *parts.slots,
          mailboxes,
          *parts.bell};
}

}  // namespace

WorkerPool::WorkerPool(std::shared_ptr<LoaderParts> parts)
    : parts_(std::move(parts)),
      mailboxes_(mailbox_count(train_ds())),
      zygote_(child_setup(*parts_, mailboxes_)) {
  workers_.resize(static_cast<size_t>(train_ds().num_workers));
  deaths_in_a_row_.resize(workers_.size());
  retired_traces_.resize(workers_.size());
}

// In the watch's first turn: only now anybody can hear the zygote's answers.
void WorkerPool::spawn_first(uint64_t now_ns) {
  for (int worker = 0; worker < train_ds().num_workers && !parts_->failed; ++worker) {
    spawn(worker, 0, now_ns);
  }
}

uint64_t WorkerPool::act(uint64_t now_ns, uint64_t paused_ns, trace::Writer& trace) {
  trace_ = &trace;
  parts_->delivery.saw_watch(now_ns);
  if (!std::exchange(has_acted_, true)) spawn_first(now_ns);
  if (parts_->failed) return UINT64_MAX;
  for (const Workers* group : {&workers_, &dying_}) {
    for (const auto& worker : *group) worker->forgive(paused_ns);
  }
  if (auto start = parts_->delivery.new_epoch()) start_epoch(std::move(*start), now_ns);
  hear_zygote(now_ns);
  check_workers(now_ns);
  if (parts_->failed) return UINT64_MAX;
  free_abandoned();
  end_quarantines();
  deliver();
  begin_batches();
  dispatch(now_ns);
  check_starved(now_ns);
  return set_wake_marks() ? now_ns : next_due(now_ns);
}

// After a failure nothing is due any more, and what is readable stays so.
std::vector<int> WorkerPool::descriptors() const {
  return parts_->failed ? std::vector<int>{} : zygote_.descriptors();
}

uint64_t WorkerPool::next_due(uint64_t now_ns) {
  uint64_t due_ns = UINT64_MAX;
  const auto at = [&due_ns, now_ns](uint64_t when_ns) {
    if (when_ns > now_ns) due_ns = std::min(due_ns, when_ns);
  };
  for (const auto& worker : workers_) {
    if (worker->state() == RemoteWorker::State::kAsked)
      at(worker->since_ns() + zygote_patience_ns());
    if (worker->state() != RemoteWorker::State::kRunning || worker->queue().empty()) continue;
    at(worker->head_since_ns() + parts_->item_deadline_ns());
    at(worker->head_since_ns() + guards().observe_after_ms * kMs);
  }
  for (const auto& worker : dying_) {
    at(worker->since_ns() + kUnkillableAfterMs * kMs);
    at(worker->since_ns() + kSlowDeathMs * kMs);
  }
  if (starved_since_ns_ != 0) at(starved_since_ns_ + parts_->item_deadline_ns());
  return due_ns;
}

// True if a mark was passed while it was being set.
bool WorkerPool::set_wake_marks() {
  const bool awaited = parts_->delivery.is_awaited() && !filling_.empty();
  bool passed = false;
  for (const auto& worker : workers_) {
    const auto& queue = worker->queue();
    if (queue.empty()) continue;
    auto answers = static_cast<uint32_t>((queue.size() + 1) / 2);
    for (uint32_t i = 0; awaited && i < queue.size(); ++i) {
      const bool is_last = i + 1 == queue.size() || queue[i + 1].work != &filling_.front();
      if (queue[i].work == &filling_.front() && is_last) answers = std::min(answers, i + 1);
    }
    passed |= worker->mailbox().wake_at(worker->collected() + answers);
  }
  return passed;
}

void WorkerPool::finish(trace::Writer& trace) {
  if (has_lost_zygote_) return;  // it reports nothing; its workers die with it
  const uint64_t span_ns = guards().shutdown_deadline_ms * kMs * 3 / 4;
  const std::vector<ZygoteReport> exits = zygote_.finish(trace::monotonic_ns() + span_ns);
  for (const Workers* group : {&workers_, &dying_}) {
    for (const auto& worker : *group) {
      if (worker == nullptr) continue;  // never spawned: the pool failed before
      const bool ended = std::any_of(exits.begin(), exits.end(), [&](const ZygoteReport& report) {
        return report.pid == worker->pid();
      });
      if (ended || worker->state() == RemoteWorker::State::kAsked || zygote_.is_gone()) continue;
      trace.incident_at({}, trace::Event::kUnkillable, trace::Stage::kShutdown, "at shutdown",
                        worker->pid(), worker->code());
    }
  }
}

void WorkerPool::fatal(ExitCode code, const std::string& why) { parts_->fatal({code, why}); }

void WorkerPool::lost(const std::string& what) {
  trace_->incident_at({}, trace::Event::kLost, trace::Stage::kNone, what);
}

}  // namespace batch71::loader
