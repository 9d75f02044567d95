// The loop of the watch.
#include "loader/watch_thread.h"

#include <poll.h>
#include <signal.h>

#include <algorithm>

#include "trace/clock.h"

namespace batch71::loader {
namespace {

constexpr uint64_t kBeatNs = 100'000'000;
constexpr uint64_t kPauseNs = 50'000'000;  // less is a busy machine

void sleep_until(uint64_t when_ns, uint64_t now_ns, int bell, const std::vector<int>& descriptors) {
  std::vector<pollfd> fds = {{bell, POLLIN, 0}};
  for (const int fd : descriptors) fds.push_back({fd, POLLIN, 0});
  const uint64_t span_ns = when_ns > now_ns ? when_ns - now_ns : 0;
  const timespec span{static_cast<time_t>(span_ns / 1'000'000'000),
                      static_cast<long>(span_ns % 1'000'000'000)};
  ppoll(fds.data(), fds.size(), &span, nullptr);
}

}  // namespace

WatchThread::WatchThread(const std::string& run_folder, int rank, int world_size,
                         std::shared_ptr<Bell> bell, std::shared_ptr<WatchDuty> duty)
    : state_(std::make_shared<State>()), ended_(state_->ended.get_future()) {
  state_->run_folder = run_folder;
  state_->writer = {trace::Role::kLoaderWatch, rank, world_size};
  state_->bell = std::move(bell);
  state_->duty = std::move(duty);
  // Signals are for the program's own threads.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([state = state_] {
    run(*state);
    state->ended.set_value();
  });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void WatchThread::run(State& state) {
  trace::Writer trace(state.run_folder, state.writer);
  uint64_t next_beat_ns = trace::monotonic_ns();
  uint64_t planned_ns = next_beat_ns;
  while (!state.stop) {
    const uint64_t now_ns = trace::monotonic_ns();
    const uint64_t late_ns = now_ns > planned_ns ? now_ns - planned_ns : 0;
    if (now_ns >= next_beat_ns) {
      trace.record(trace::Event::kBeat, trace::Stage::kNone, static_cast<int64_t>(late_ns));
      next_beat_ns = now_ns + kBeatNs;
    }
    state.bell->silence();
    const uint64_t due_ns = state.duty->act(now_ns, late_ns > kPauseNs ? late_ns : 0, trace);
    planned_ns = std::max(std::min(due_ns, next_beat_ns), now_ns);
    sleep_until(planned_ns, trace::monotonic_ns(), state.bell->fd(), state.duty->descriptors());
  }
  state.duty->finish(trace);
}

void WatchThread::stop(int deadline_ms) {
  if (!thread_.joinable()) return;
  state_->stop = true;
  state_->bell->ring();
  const bool ended =
      ended_.wait_for(std::chrono::milliseconds(deadline_ms)) == std::future_status::ready;
  if (ended) {
    thread_.join();
  } else {
    thread_.detach();
  }
}

}  // namespace batch71::loader
