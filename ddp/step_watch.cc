// The step watch: states against deadlines, symptoms, the verdict, the one way out.
#include "ddp/step_watch.h"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <memory>
#include <sstream>

#include "ddp/watch_rules.h"
#include "loader/rank_output.h"
#include "trace/clock.h"
#include "trace/process_state.h"

namespace batch71::ddp {
namespace {

using trace::Event;
using trace::Stage;

constexpr int kBeatMs = 20;
constexpr uint64_t kMillisecond = 1'000'000;
// Below that an oversleep is ordinary scheduling, which deadlines allow for anyhow.
constexpr uint64_t kPauseNs = 100 * kMillisecond;
constexpr uint32_t kWatchSlots = 512;

uint64_t in_ms(int ms) { return trace::monotonic_ns() + static_cast<uint64_t>(ms) * kMillisecond; }

}  // namespace

uint64_t StepWatch::MainState::age_ms() const {
  return (trace::monotonic_ns() - since_ns) / kMillisecond;
}

StepWatch::StepWatch(const Environment& env, const loader::Guards& guards, Seams seams)
    : env_(env),
      guards_(guards),
      seams_(std::move(seams)),
      peers_(env.run_folder, env.rank, env.world_size) {
  main_.since_ns = trace::monotonic_ns();
  thread_ = std::thread([this] { run(); });
}

StepWatch::~StepWatch() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  thread_.join();  // it looks at stop_ at least once a beat, or ends the process
}

void StepWatch::enter(Stage stage, const trace::Place& place) {
  const std::lock_guard lock(mutex_);
  main_ = {stage, place, trace::monotonic_ns(), false};
}

void StepWatch::under_way() {
  const std::lock_guard lock(mutex_);
  is_under_way_ = true;
}

void StepWatch::done() {
  const std::lock_guard lock(mutex_);
  is_done_ = true;
}

void StepWatch::symptom(Stage stage, const std::string& what) {
  {
    const std::lock_guard lock(mutex_);
    if (!trouble_) trouble_ = {ExitCode::kPeerLost, stage, what};
  }
  leave(ExitCode::kPeerLost, what);
}

void StepWatch::leave(ExitCode code, const std::string& why) {
  fatal(code, why);
  // The watch ends the process after the grace; should it not, main does.
  poll(nullptr, 0, 3 * guards_.verdict_grace_ms + 2 * guards_.shutdown_deadline_ms);
  _exit(static_cast<int>(code));
}

void StepWatch::fatal(ExitCode code, const std::string& why) {
  raise({code, main_state().stage, why});
}

void StepWatch::raise(const Trouble& trouble) {
  {
    const std::lock_guard lock(mutex_);
    if (!trouble_) trouble_ = trouble;  // the first one is nearest to the cause
  }
  wake_.notify_all();
}

void StepWatch::run() {
  trace::Writer trace(env_.run_folder,
                      {trace::Role::kStepWatch, env_.rank, env_.world_size, -1, 0, kWatchSlots});
  trace_ = &trace;
  while (beat()) {
    check_main();
    check_others();
    if (const std::optional<Trouble> found = trouble()) end(*found);
  }
}

// False when the job is over.
bool StepWatch::beat() {
  std::unique_lock lock(mutex_);
  const uint64_t before_ns = trace::monotonic_ns();
  wake_.wait_for(lock, std::chrono::milliseconds(kBeatMs), [this] { return stop_ || trouble_; });
  const uint64_t slept_ns = trace::monotonic_ns() - before_ns;
  constexpr uint64_t kWantedNs = kBeatMs * kMillisecond;
  const uint64_t oversleep_ns = slept_ns > kWantedNs ? slept_ns - kWantedNs : 0;
  // Main may have entered its stage while we overslept: its age is never below zero.
  if (oversleep_ns > kPauseNs) {
    main_.since_ns = std::min(main_.since_ns + oversleep_ns, trace::monotonic_ns());
  }
  trace_->record(Event::kBeat, Stage::kNone, static_cast<int64_t>(oversleep_ns));
  trace_->anchor();
  return !stop_;
}

std::optional<StepWatch::Trouble> StepWatch::trouble() {
  const std::lock_guard lock(mutex_);
  return trouble_;
}

StepWatch::MainState StepWatch::main_state() {
  const std::lock_guard lock(mutex_);
  return main_;
}

std::optional<int> StepWatch::limit_ms(Stage stage) {
  const std::lock_guard lock(mutex_);
  return deadline_ms(stage, guards_, is_under_way_);
}

void StepWatch::check_main() {
  const MainState main = main_state();
  const std::optional<int> limit = limit_ms(main.stage);
  if (!limit) return;
  const uint64_t age_ms = main.age_ms();
  if (!main.observed_early && age_ms > static_cast<uint64_t>(guards_.observe_after_ms)) {
    observe(env_.rank, getpid(), main.stage, main.place);
    observe_suspects();
    const std::lock_guard lock(mutex_);
    if (main_.since_ns == main.since_ns) main_.observed_early = true;
  }
  if (age_ms <= static_cast<uint64_t>(*limit)) return;
  raise({code_when_late(main.stage), main.stage,
         fmt::format("deadline: {} takes more than {} ms", trace::name(main.stage), *limit)});
}

void StepWatch::check_others() {
  peers_.look();
  {
    const std::lock_guard lock(mutex_);
    if (is_done_) return;
  }
  if (peers_.trouble()) {
    const Peers::Trouble& theirs = *peers_.trouble();
    fatal(theirs.code, theirs.why);
  }
  if (seams_.stop_requested && seams_.stop_requested())
    fatal(ExitCode::kInterrupted, "interrupted");
}

void StepWatch::observe(int rank, int pid, Stage stage, const trace::Place& place) {
  const trace::ProcessState state = trace::process_state(pid);
  trace_->incident_at(place, Event::kObservation, stage,
                      fmt::format("who=rank{}.main {}", rank, to_text(state)), pid,
                      static_cast<int64_t>(state.cpu_ns));
}

void StepWatch::observe_suspects() {
  for (const Peers::Suspect& suspect : peers_.suspects()) {
    observe(suspect.rank, suspect.pid, suspect.stage, suspect.place);
  }
}

// A beat between two looks at peers' files, which offer nothing to wait on.
void StepWatch::look_again() {
  trace_->record(Event::kBeat, Stage::kNone);
  trace_->anchor();
  poll(nullptr, 0, kBeatMs);
  peers_.look();
}

// Asked on a thread of its own: what a user's function does with its time is not known.
std::string StepWatch::own_verdict() {
  if (!seams_.on_stuck || env_.run_folder.empty()) return {};
  auto answer = std::make_shared<std::promise<std::string>>();
  std::future<std::string> verdict = answer->get_future();
  std::thread([answer, ask = seams_.on_stuck, folder = env_.run_folder] {
    try {
      answer->set_value(ask(folder));
    } catch (...) {
      answer->set_value({});
    }
  }).detach();
  const uint64_t deadline_ns = in_ms(guards_.shutdown_deadline_ms);
  while (trace::monotonic_ns() < deadline_ns) {
    if (verdict.wait_for(std::chrono::milliseconds(kBeatMs)) == std::future_status::ready) {
      return verdict.get();
    }
    trace_->record(Event::kBeat, Stage::kNone);
  }
  return {};
}

// The lowest rank that beats speaks; the others repeat what it says, so that all print the same. As
// long as it beats it may take the time that it has for an answer.
std::string StepWatch::agreed_verdict() {
  const uint64_t patience_ns = in_ms(guards_.verdict_grace_ms + guards_.shutdown_deadline_ms);
  while (!peers_.verdict() && speaker(env_.rank, peers_.views()) != env_.rank &&
         trace::monotonic_ns() < patience_ns) {
    look_again();
  }
  return peers_.verdict() ? *peers_.verdict() : own_verdict();
}

void StepWatch::end(const Trouble& trouble) {
  const MainState main = main_state();
  const Stage stage = trouble.stage == Stage::kNone ? main.stage : trouble.stage;
  ExitCode code = trouble.code;
  const bool is_to_blame = holds_up_others(main.stage, main.age_ms(), guards_);
  if (is_to_blame && code == ExitCode::kPeerLost) code = ExitCode::kStepStuck;
  trace_->incident_at(main.place, Event::kSymptom, is_to_blame ? main.stage : stage, trouble.why,
                      static_cast<int64_t>(code));
  if (is_to_blame) observe(env_.rank, getpid(), main.stage, main.place);
  observe_suspects();
  peers_.look();  // the last look may be older than a peer that has just begun to beat
  const int grace_ms = code == ExitCode::kInterrupted ? 0 : guards_.verdict_grace_ms;
  for (const uint64_t over_ns = in_ms(grace_ms);
       trace::monotonic_ns() < over_ns && !all_have_spoken(peers_.views());) {
    look_again();
  }
  observe_suspects();  // who is silent still, and perhaps gone by now
  const std::string verdict = agreed_verdict();
  trace_->incident_at(main.place, Event::kVerdict, Stage::kShutdown, verdict);
  trace_->incident_at(main.place, Event::kEnding, Stage::kShutdown, trouble.why,
                      static_cast<int64_t>(code));
  loader::print_lines(env_.rank, "verdict", verdict);
  loader::print_lines(env_.rank, "ended", trouble.why);
  _exit(static_cast<int>(code));
}

}  // namespace batch71::ddp
