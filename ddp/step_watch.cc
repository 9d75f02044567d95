// The thread that holds a rank's steps and collectives against deadlines, and the one way out.
#include "ddp/step_watch.h"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>

#include "trace/process_state.h"

namespace batch71::ddp {
namespace {

using trace::Event;
using trace::Stage;

constexpr int kBeatMs = 20;
constexpr uint64_t kMillisecond = 1'000'000;
// A watch that has not beaten for so long belongs to a rank that is stopped or gone.
constexpr uint64_t kSilentNs = 400 * kMillisecond;

// Stages in which main must not stay; a fetch is the loader's to guard.
bool is_watched(Stage stage) {
  return trace::is_collective(stage) || stage == Stage::kForward || stage == Stage::kLoss ||
         stage == Stage::kBackward || stage == Stage::kOptimizer || stage == Stage::kSetup;
}

}  // namespace

StepWatch::StepWatch(const Environment& env, const loader::Guards& guards, Speak on_stuck)
    : env_(env), guards_(guards), on_stuck_(std::move(on_stuck)), since_ns_(trace::monotonic_ns()) {
  for (int rank = 0; rank < env.world_size && !env.run_folder.empty(); ++rank) {
    if (rank == env.rank) continue;
    const auto peek = [&](trace::Role role) {
      const trace::WriterSpec spec{role, rank};
      return std::make_unique<trace::Peek>(env.run_folder + "/" + trace::file_name(spec));
    };
    peers_.push_back({rank, peek(trace::Role::kMain), peek(trace::Role::kStepWatch)});
  }
  thread_ = std::thread([this] { run(); });
}

StepWatch::~StepWatch() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  thread_.join();  // it waits at most a beat, and ends the process itself when it does not return
}

void StepWatch::enter(Stage stage, const trace::Place& place) {
  const std::lock_guard lock(mutex_);
  stage_ = stage;
  place_ = place;
  since_ns_ = trace::monotonic_ns();
  observed_early_ = false;
}

void StepWatch::fatal(ExitCode code, const std::string& why) {
  raise({code, Stage::kNone, why, false});
}

void StepWatch::symptom(Stage stage, const std::string& what) {
  raise({ExitCode::kPeerLost, stage, what, true});
  for (;;) pause();  // the watch ends the process after the grace
}

void StepWatch::end_together(ExitCode code, const std::string& why) {
  raise({code, Stage::kNone, why, false});
  for (;;) pause();
}

void StepWatch::raise(const Trouble& trouble) {
  {
    const std::lock_guard lock(mutex_);
    if (!trouble_) trouble_ = trouble;  // the first one is nearest to the cause
  }
  wake_.notify_all();
}

int StepWatch::deadline_ms(Stage stage) const {
  if (stage == Stage::kSetup) return guards_.startup_deadline_ms;
  return trace::is_collective(stage) ? guards_.collective_deadline_ms : guards_.step_deadline_ms;
}

void StepWatch::run() {
  trace::Writer trace(env_.run_folder,
                      {trace::Role::kStepWatch, env_.rank, env_.world_size, -1, 0, 512});
  trace_ = &trace;
  while (!stopped_within(kBeatMs)) {
    check_own_stage();
    check_peers();
    if (const std::optional<Trouble> found = trouble()) end(*found);
  }
}

// One beat. A pause of the whole machine or rank is no fault of the stage: deadlines move with it.
bool StepWatch::stopped_within(int most_ms) {
  std::unique_lock lock(mutex_);
  const uint64_t before_ns = trace::monotonic_ns();
  wake_.wait_for(lock, std::chrono::milliseconds(most_ms), [this] { return stop_ || trouble_; });
  const uint64_t slept_ns = trace::monotonic_ns() - before_ns;
  const uint64_t wanted_ns = static_cast<uint64_t>(most_ms) * kMillisecond;
  const uint64_t oversleep_ns = slept_ns > wanted_ns ? slept_ns - wanted_ns : 0;
  if (oversleep_ns > 100 * kMillisecond) since_ns_ += oversleep_ns;
  trace_->record(Event::kBeat, Stage::kNone, static_cast<int64_t>(oversleep_ns));
  trace_->anchor();
  return stop_;
}

std::optional<StepWatch::Trouble> StepWatch::trouble() {
  const std::lock_guard lock(mutex_);
  return trouble_;
}

void StepWatch::check_own_stage() {
  std::unique_lock lock(mutex_);
  if (!is_watched(stage_)) return;
  const uint64_t age_ms = (trace::monotonic_ns() - since_ns_) / kMillisecond;
  const Stage stage = stage_;
  const trace::Place place = place_;
  const bool first_look =
      !observed_early_ && age_ms > static_cast<uint64_t>(guards_.observe_after_ms);
  observed_early_ = observed_early_ || first_look;
  lock.unlock();
  if (first_look) {
    observe(fmt::format("rank{}.main", env_.rank), getpid(), stage, place);
    observe_peers();
  }
  if (age_ms <= static_cast<uint64_t>(deadline_ms(stage))) return;
  const bool is_collective = trace::is_collective(stage) || stage == Stage::kSetup;
  raise({is_collective ? ExitCode::kPeerLost : ExitCode::kStepStuck, stage,
         fmt::format("deadline: {} is past {} ms", trace::name(stage), deadline_ms(stage)),
         is_collective});
}

void StepWatch::check_peers() {
  for (Peer& peer : peers_) check_peer(peer);
}

void StepWatch::check_peer(Peer& peer) {
  for (const trace::Entry& entry : peer.main->new_incidents()) {
    peer.done = peer.done || entry.event == Event::kDone;
  }
  for (const trace::Entry& entry : peer.watch->new_incidents()) {
    if (entry.event == Event::kVerdict) heard_ = entry.text;
    if (entry.event == Event::kSymptom) {
      raise({ExitCode::kPeerLost, entry.stage,
             fmt::format("rank {} reports: {}", peer.rank, entry.text), true});
    }
  }
  if (peer.done || !peer.main->writer()) return;
  const char state = trace::process_state(peer.main->writer()->pid).state;
  if (state == 0 || state == 'Z') {
    raise({ExitCode::kPeerLost, Stage::kNone, fmt::format("rank {} is gone", peer.rank), true});
  }
}

void StepWatch::observe(const std::string& who, int pid, Stage stage, const trace::Place& place) {
  const trace::ProcessState state = trace::process_state(pid);
  trace_->incident_at(place, Event::kObservation, stage, "who=" + who + " " + to_text(state), pid,
                      static_cast<int64_t>(state.cpu_ns));
}

void StepWatch::observe_peers() {
  for (Peer& peer : peers_) {
    const std::optional<trace::Entry> newest = peer.main->newest();
    if (peer.done || !newest || !peer.main->writer()) continue;
    observe(fmt::format("rank{}.main", peer.rank), peer.main->writer()->pid, newest->stage,
            {newest->epoch, newest->batch, newest->index});
  }
}

bool StepWatch::beats(Peer& peer) {
  const std::optional<trace::Entry> beat = peer.watch->newest();
  return beat && beat->monotonic_ns + kSilentNs > trace::monotonic_ns();
}

// A beat between two looks at peers' files, which offer nothing to wait on.
void StepWatch::look_again() {
  trace_->record(Event::kBeat, Stage::kNone);
  trace_->anchor();
  poll(nullptr, 0, kBeatMs);
}

// The lowest rank that beats speaks; the others repeat what it says, so that all print the same.
std::string StepWatch::verdict() {
  const auto until = [](int ms) {
    return trace::monotonic_ns() + static_cast<uint64_t>(ms) * kMillisecond;
  };
  const uint64_t patience_ns = until(2 * guards_.verdict_grace_ms);
  for (Peer& peer : peers_) {
    if (peer.rank > env_.rank) break;
    while (heard_.empty() && beats(peer) && trace::monotonic_ns() < patience_ns) {
      look_again();
      check_peer(peer);
    }
  }
  return heard_.empty() ? on_stuck_(env_.run_folder) : heard_;
}

void StepWatch::end(const Trouble& trouble) {
  trace::Place place;
  Stage stage;
  {
    const std::lock_guard lock(mutex_);
    place = place_;
    stage = trouble.stage == Stage::kNone ? stage_ : trouble.stage;
  }
  trace_->incident_at(place, Event::kSymptom, stage, trouble.why);
  observe_peers();
  if (!trouble.is_symptom) observe(fmt::format("rank{}.main", env_.rank), getpid(), stage, place);
  const uint64_t grace_over_ns =
      trace::monotonic_ns() + static_cast<uint64_t>(guards_.verdict_grace_ms) * kMillisecond;
  while (heard_.empty() && trace::monotonic_ns() < grace_over_ns) {
    look_again();
    check_peers();
  }
  const std::string line = verdict();
  trace_->incident_at(place, Event::kVerdict, Stage::kShutdown, line);
  trace_->incident_at(place, Event::kEnding, Stage::kShutdown, trouble.why,
                      static_cast<int64_t>(trouble.code));
  std::fprintf(stderr, "[Rank %d] verdict: %s\n", env_.rank,
               line.empty() ? trouble.why.c_str() : line.c_str());
  std::fflush(nullptr);
  _exit(static_cast<int>(trouble.code));
}

}  // namespace batch71::ddp
