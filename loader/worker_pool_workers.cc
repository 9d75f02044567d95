// Workers of the pool: asked for, watched, killed, replaced, buried.
#include <unistd.h>

#include <algorithm>

#include "loader/child_process.h"
#include "loader/worker_pool.h"
#include "trace/process_state.h"

namespace batch71::loader {
namespace {

constexpr uint64_t kMs = 1'000'000;

}  // namespace

using trace::Event;
using trace::Stage;

void WorkerPool::spawn(int worker, int generation, uint64_t now_ns) {
  const SpawnRequest who{worker, generation, mailboxes_.open()};
  if (who.mailbox < 0 || !zygote_.spawn(who)) {
    fatal(ExitCode::kZygoteLost, "the worker zygote takes no more workers");
    return;
  }
  auto fresh = std::make_unique<RemoteWorker>(who, mailboxes_.at(who.mailbox), now_ns);
  fresh->mailbox().set_live_serial(serial_);
  workers_[static_cast<size_t>(worker)] = std::move(fresh);
}

// Moves it among the dying and asks for the next generation.
void WorkerPool::replace(RemoteWorker& former, uint64_t now_ns) {
  const SpawnRequest who = former.who();
  former.killed(now_ns);
  dying_.push_back(std::move(workers_[static_cast<size_t>(who.worker)]));
  spawn(who.worker, who.generation + 1, now_ns);
  if (dying_.back()->is_expected || ++respawns_ <= guards().max_respawns) return;
  fatal(ExitCode::kErrorBudgetSpent,
        "more than max_respawns=" + std::to_string(guards().max_respawns) +
            " workers had to be replaced");
}

void WorkerPool::retire_all(uint64_t now_ns) {
  for (size_t i = 0; i < workers_.size() && !parts_->failed; ++i) {
    RemoteWorker& worker = *workers_[i];
    worker.is_expected = true;
    if (worker.pidfd() >= 0) kill_process(worker.pidfd());
    replace(worker, now_ns);
  }
}

void WorkerPool::hear_zygote(uint64_t now_ns) {
  while (!parts_->failed) {
    auto event = zygote_.receive();
    if (!event) return;
    if (event->report.kind == ZygoteReport::Kind::kSpawned) on_spawned(*event, now_ns);
    if (event->report.kind == ZygoteReport::Kind::kExited) on_exited(event->report, now_ns);
  }
}

void WorkerPool::on_spawned(ZygoteEvent& event, uint64_t now_ns) {
  const SpawnRequest& who = event.report.whose;
  for (Workers* group : {&workers_, &dying_}) {
    for (const auto& worker : *group) {
      if (worker->who().worker != who.worker || worker->who().generation != who.generation)
        continue;
      worker->spawned(event.report.pid, std::move(event.pidfd), now_ns);
      trace_->incident_at({}, Event::kWorkerSpawned, Stage::kNone, {}, worker->pid(),
                          worker->code());
      if (worker->is_expected) {  // its epoch ended before it was there
        kill_process(worker->pidfd());
        worker->killed(now_ns);
      }
      return;
    }
  }
}

void WorkerPool::report_exit(const RemoteWorker& worker, const trace::Place& place,
                             int wait_status) {
  const Stage stage = newest_stage(suspect(worker).trace_path);
  trace_->incident_at(place, Event::kWorkerExited, stage, {}, wait_status, worker.code());
}

// Anybody may lose a worker; whose replacements die before they finish one sample will go on doing so.
void WorkerPool::count_death(const RemoteWorker& worker, const trace::Place& place,
                             int wait_status) {
  const int number = worker.who().worker;
  const int deaths = ++deaths_in_a_row_[static_cast<size_t>(number)];
  if (deaths < kCrashLoopDeaths || parts_->failed) return;
  std::string all;
  for (const int each : deaths_in_a_row_) all += (all.empty() ? "" : ",") + std::to_string(each);
  trace_->incident_at(place, Event::kLost, newest_stage(suspect(worker).trace_path),
                      "crash loop: deaths_in_a_row=" + all, wait_status, worker.code());
  fatal(ExitCode::kCrashLoop, "worker " + std::to_string(number) + " died " +
                                  std::to_string(deaths) +
                                  " times in a row, without finishing a sample in between");
}

// Of the workers that an epoch used up without an error, only the last one's trace stays: else a run
// folder in memory would grow with every epoch.
void WorkerPool::keep_newest_trace(const RemoteWorker& retired) {
  std::string& kept = retired_traces_[static_cast<size_t>(retired.who().worker)];
  if (!kept.empty()) unlink(kept.c_str());
  kept = suspect(retired).trace_path;
}

void WorkerPool::on_exited(const ZygoteReport& report, uint64_t now_ns) {
  const auto is_it = [&report](const auto& worker) {
    return worker && worker->pid() == report.pid;
  };
  if (const auto own = std::find_if(workers_.begin(), workers_.end(), is_it);
      own != workers_.end()) {
    replace(**own, now_ns);  // it ended by itself, or somebody else killed it
  }
  const auto found = std::find_if(dying_.begin(), dying_.end(), is_it);
  if (found == dying_.end()) return;
  const std::unique_ptr<RemoteWorker> worker = std::move(*found);
  dying_.erase(found);
  collect(*worker, now_ns);
  const trace::Place place =
      worker->queue().empty() ? worker->deaf_place : worker->queue().front().place();
  if (!worker->is_expected) {
    report_exit(*worker, place, report.wait_status);
  } else if (!worker->has_failed) {
    keep_newest_trace(*worker);
  }
  std::deque<Assignment> left = worker->take_queue();
  // Killed for its head item; if the answer came after all, nothing is lost.
  const bool head_ends =
      !left.empty() && worker->head_is_begun() && (!worker->head_is_stuck || worker->head_observed);
  if (head_ends) {
    BadNews news{BadItem::kWorkerLost, "its worker was lost",
                 newest_stage(suspect(*worker).trace_path), worker->code(), worker->since_epoch()};
    if (worker->head_is_stuck) {
      news.reason = BadItem::kStuck;
      news.why = "not done within item_deadline_ms";
      news.stage = worker->stuck_stage;
    }
    end_as_dummy(left.front(), news);
    left.pop_front();
  }
  give_again(std::move(left));
  mailboxes_.free(report.whose.mailbox);
  if (!worker->is_expected && !worker->head_is_stuck) {
    count_death(*worker, place, report.wait_status);
  }
}

void WorkerPool::check_workers(uint64_t now_ns) {
  if (parts_->failed) return;
  for (const auto& worker : workers_) collect(*worker, now_ns);
  check_zygote(now_ns);
  check_heads(now_ns);
  check_dying(now_ns);
}

void WorkerPool::check_zygote(uint64_t now_ns) {
  if (parts_->failed) return;
  const bool silent =
      std::any_of(workers_.begin(), workers_.end(), [this, now_ns](const auto& worker) {
        return worker->state() == RemoteWorker::State::kAsked &&
               now_ns > worker->since_ns() + zygote_patience_ns();
      });
  if (!silent && !zygote_.is_gone()) return;
  zygote_is_lost(silent ? "does not answer" : "ended");
}

void WorkerPool::zygote_is_lost(const std::string& how) {
  has_lost_zygote_ = true;
  lost("zygote: the process that forks workers " + how);
  fatal(ExitCode::kZygoteLost, "the process that forks workers " + how);
}

// Told before the other ranks lose patience with this one.
uint64_t WorkerPool::zygote_patience_ns() const {
  const uint64_t half_ms = static_cast<uint64_t>(guards().collective_deadline_ms) / 2;
  return std::clamp(half_ms, kLeastZygotePatienceMs, kMostZygotePatienceMs) * kMs;
}

Suspect WorkerPool::suspect(const RemoteWorker& worker) const {
  const LoaderSpec& spec = parts_->spec;
  const trace::WriterSpec writer{trace::Role::kWorker, spec.rank, spec.world_size,
                                 worker.who().worker, worker.who().generation};
  Suspect suspect;
  suspect.who =
      "rank" + std::to_string(spec.rank) + ".worker" + std::to_string(worker.who().worker);
  suspect.pid = worker.pid();
  if (!spec.run_folder.empty())
    suspect.trace_path = spec.run_folder + "/" + trace::file_name(writer);
  suspect.list_threads = true;
  return suspect;
}

void WorkerPool::check_heads(uint64_t now_ns) {
  for (size_t i = 0; i < workers_.size() && !parts_->failed; ++i) {
    RemoteWorker& worker = *workers_[i];
    if (worker.state() != RemoteWorker::State::kRunning || worker.queue().empty()) continue;
    const uint64_t age_ns = now_ns - std::min(now_ns, worker.head_since_ns());
    if (age_ns >= parts_->item_deadline_ns()) {
      kill_stuck(worker, now_ns);
    } else if (!worker.head_observed && age_ns >= guards().observe_after_ms * kMs) {
      worker.head_observed = true;
      observe(suspect(worker), worker.queue().front().place(), *trace_);
    }
  }
}

// What is seen is written before anything is done about it.
void WorkerPool::kill_stuck(RemoteWorker& worker, uint64_t now_ns) {
  const trace::Place place = worker.queue().front().place();
  worker.stuck_stage = observe(suspect(worker), place, *trace_);
  worker.head_observed = true;
  worker.head_is_stuck = true;
  kill_process(worker.pidfd());
  trace_->incident_at(place, Event::kKilledByWatch, worker.stuck_stage, {}, worker.pid(),
                      worker.code());
  replace(worker, now_ns);
}

void WorkerPool::check_dying(uint64_t now_ns) {
  for (const auto& worker : dying_) {
    const bool late = worker->state() == RemoteWorker::State::kDying && worker->pid() != 0 &&
                      now_ns > worker->since_ns() + kUnkillableAfterMs * kMs;
    if (!late || worker->is_deaf || parts_->failed) continue;
    const trace::ProcessState seen = trace::process_state(worker->pid());
    if (!seen.is_gone()) {
      if (!is_deaf_to_sigkill(seen.state, now_ns - worker->since_ns())) continue;
      collect(*worker, now_ns);
      on_deaf(*worker);
    } else if (now_ns > worker->since_ns() + zygote_patience_ns()) {
      zygote_is_lost("does not report that a worker ended");
    }
  }
}

// The head item ends as a dummy, in a slot that the worker does not write to; the others are given again.
void WorkerPool::on_deaf(RemoteWorker& worker) {
  worker.is_deaf = true;
  std::deque<Assignment> left = worker.take_queue();
  if (!left.empty()) worker.deaf_place = left.front().place();
  trace_->incident_at(worker.deaf_place, Event::kUnkillable, worker.stuck_stage, {}, worker.pid(),
                      worker.code());
  if (left.empty()) return;
  if (!worker.head_is_begun()) {
    give_again(std::move(left));
    return;
  }
  const Assignment head = left.front();
  left.pop_front();
  worker.deaf_slot = head.slot;
  give_again(std::move(left));
  if (!head.work->abandoned && head.slot == head.work->slot) move_to_spare(*head.work);
  if (parts_->failed) return;
  end_as_dummy(head,
               {BadItem::kStuck, "not done within item_deadline_ms; its worker is deaf to SIGKILL",
                worker.stuck_stage, worker.code(), worker.since_epoch()});
}

}  // namespace batch71::loader
