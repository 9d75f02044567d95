// Starts ranks and moves them, by events and deadlines, to their end.
#include "launch/ranks.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <optional>
#include <stdexcept>

#include "launch/line_prefixer.h"
#include "trace/process_state.h"
#include "trace/writer.h"

namespace batch71::launch {
namespace {

constexpr uint64_t kNever = UINT64_MAX;
constexpr int kLookMs = 1'000;  // between two looks at whether all ranks are stopped

// A port that was free just now. Another program may take it before rank 0 does: that is the risk
// of every launcher without a store of its own, and none in a network namespace of our own.
int free_port() {
  const UniqueFd probe(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (!probe || bind(probe.get(), generic, length) != 0 ||
      getsockname(probe.get(), generic, &length) != 0) {
    throw std::runtime_error(std::string("no free port on the loopback network: ") +
                             std::strerror(errno));
  }
  return ntohs(address.sin_port);
}

Environment environment_of(const RanksSpec& spec, int rank, int port) {
  Environment env{{"RANK", std::to_string(rank)},
                  {"LOCAL_RANK", std::to_string(rank)},
                  {"WORLD_SIZE", std::to_string(spec.world_size)},
                  {"LOCAL_WORLD_SIZE", std::to_string(spec.world_size)},
                  {"MASTER_ADDR", "127.0.0.1"},
                  {"MASTER_PORT", std::to_string(port)},
                  {"OMP_NUM_THREADS", "1"},
                  {"OPENBLAS_NUM_THREADS", "1"},
                  {"MKL_NUM_THREADS", "1"}};
  if (!spec.run_folder.empty()) env["BATCH71_RUN_DIR"] = spec.run_folder;
  if (!spec.config_path.empty()) env["BATCH71_CONFIG"] = spec.config_path;
  if (!spec.ledger_folder.empty()) {
    env["BATCH71_LEDGER"] = spec.ledger_folder + "/rank" + std::to_string(rank) + ".jsonl";
  }
  for (const auto& [key, value] : spec.env) env[key] = value;
  if (static_cast<size_t>(rank) < spec.rank_env.size()) {
    for (const auto& [key, value] : spec.rank_env[static_cast<size_t>(rank)]) env[key] = value;
  }
  return env;
}

}  // namespace

std::string_view name(EndReason reason) {
  switch (reason) {
    case EndReason::kRunning: return "running";
    case EndReason::kAllEnded: return "all_ended";
    case EndReason::kRankFailed: return "rank_failed";
    case EndReason::kDeadline: return "deadline";
    case EndReason::kStopped: return "stopped";
    case EndReason::kAllRanksStopped: return "all_ranks_stopped";
  }
  return "unknown";
}

// The ending moves one way: kRunning -> (kGrace ->) kTerminating -> kKilling -> kOver.
class Ranks::Impl {
 public:
  explicit Impl(RanksSpec spec)
      : spec_(std::move(spec)),
        trace_(spec_.run_folder,
               {.role = trace::Role::kLaunch, .world_size = spec_.world_size, .hot_slots = 64}),
        stop_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (!stop_) throw std::runtime_error("no eventfd to be had");
    if (spec_.deadline_ms >= 0) next_ns_ = deadline_after_ms(spec_.deadline_ms);
    const int port = free_port();
    for (int rank = 0; rank < spec_.world_size; ++rank) start(rank, port);
  }

  bool step(int timeout_ms, int wake_fd);
  void request_stop() noexcept {
    const uint64_t one = 1;
    (void)!write(stop_.get(), &one, sizeof one);
  }
  const std::vector<RankEnd>& ends() const { return ends_; }
  EndReason reason() const { return reason_; }
  bool owns(pid_t pid) const {
    return std::any_of(children_.begin(), children_.end(),
                       [&](const Child& child) { return child.running() && child.pid() == pid; });
  }

 private:
  enum class Phase { kRunning, kGrace, kTerminating, kKilling, kOver };

  void start(int rank, int port);
  void wait_for_event(int timeout_ms, int wake_fd);
  void reap();
  void note_end(size_t rank);
  void leave_deaf_ones();
  void begin_ending(EndReason reason, Phase phase, int ms);
  void advance();
  void signal_all(int signal);
  void observe_stopped_ones();
  void look_for_all_stopped();
  bool any_running() const {
    return std::any_of(children_.begin(), children_.end(),
                       [](const Child& child) { return child.running(); });
  }

  RanksSpec spec_;
  trace::Writer trace_;
  UniqueFd stop_;
  std::vector<Child> children_;
  std::vector<RankEnd> ends_;
  std::vector<LinePrefixer> outputs_;  // only where the ranks share our stdout
  Phase phase_ = Phase::kRunning;
  EndReason reason_ = EndReason::kRunning;
  uint64_t next_ns_ = kNever;  // when the next phase begins
  uint64_t next_look_ns_ = deadline_after_ms(kLookMs);
  int looks_all_stopped_ = 0;  // in a row: a machine that slept does not count as time
};

void Ranks::Impl::start(int rank, int port) {
  ProcessSpec process;
  process.argv = spec_.argv;
  process.env = environment_of(spec_, rank, port);
  process.working_folder = spec_.working_folder;
  process.new_session = true;
  process.ends_group = spec_.ends_groups;
  UniqueFd output;
  if (spec_.output_folder.empty()) {
    outputs_.emplace_back("[rank " + std::to_string(rank) + "] ", output);
    process.output_fd = output.get();
  } else {
    process.output_path = spec_.output_folder + "/rank" + std::to_string(rank) + ".log";
  }
  RankEnd end;
  end.rank = rank;
  end.start_monotonic_ns = trace::monotonic_ns();
  children_.push_back(start_process(process));
  end.pid = children_.back().pid();
  ends_.push_back(end);
  trace_.incident(trace::Event::kRankStarted, trace::Stage::kNone, {}, end.pid, rank);
}

void Ranks::Impl::wait_for_event(int timeout_ms, int wake_fd) {
  std::vector<pollfd> fds{{stop_.get(), POLLIN, 0}, {wake_fd, POLLIN, 0}};
  for (const Child& child : children_) {
    if (child.running()) fds.push_back({child.pidfd(), POLLIN, 0});
  }
  for (const LinePrefixer& output : outputs_) {
    if (output.fd() >= 0) fds.push_back({output.fd(), POLLIN, 0});
  }
  const uint64_t look_ns = phase_ == Phase::kRunning ? next_look_ns_ : kNever;
  poll_until(fds.data(), fds.size(), std::min({deadline_after_ms(timeout_ms), next_ns_, look_ns}));
  for (LinePrefixer& output : outputs_) output.forward();
}

void Ranks::Impl::note_end(size_t rank) {
  const Ending& ending = *children_[rank].ending();
  RankEnd& end = ends_[rank];
  end.ended = true;
  end.exit_code = ending.exit_code();
  end.signal = ending.signal();
  end.end_monotonic_ns = ending.monotonic_ns;
  trace_.incident(trace::Event::kRankEnded, trace::Stage::kNone,
                  end.ended_by_us ? "ended by launch" : "", ending.wait_status,
                  static_cast<int64_t>(rank));
}

void Ranks::Impl::reap() {
  for (size_t rank = 0; rank < children_.size(); ++rank) {
    if (!children_[rank].running() || !children_[rank].wait(0)) continue;
    note_end(rank);
    if (ends_[rank].exit_code != 0 && phase_ == Phase::kRunning) {
      begin_ending(EndReason::kRankFailed, Phase::kGrace, spec_.end_grace_ms);
    }
  }
  if (!any_running()) {
    if (reason_ == EndReason::kRunning) reason_ = EndReason::kAllEnded;
    phase_ = Phase::kOver;
    for (LinePrefixer& output : outputs_) output.forward();
  }
}

void Ranks::Impl::begin_ending(EndReason reason, Phase phase, int ms) {
  if (reason_ == EndReason::kRunning) reason_ = reason;
  phase_ = phase;
  next_ns_ = deadline_after_ms(ms);
  if (phase == Phase::kTerminating) {
    observe_stopped_ones();
    signal_all(SIGTERM);
  }
  if (phase == Phase::kKilling) signal_all(SIGKILL);
}

void Ranks::Impl::signal_all(int signal) {
  for (size_t rank = 0; rank < children_.size(); ++rank) {
    if (children_[rank].send_signal(signal)) ends_[rank].ended_by_us = true;
  }
}

void Ranks::Impl::observe_stopped_ones() {
  for (size_t rank = 0; rank < children_.size(); ++rank) {
    if (!children_[rank].running()) continue;
    const trace::ProcessState state = trace::process_state(children_[rank].pid());
    if (!state.is_stopped()) continue;
    trace_.incident(trace::Event::kObservation, trace::Stage::kNone,
                    "who=rank" + std::to_string(rank) + ".main " + to_text(state),
                    children_[rank].pid(), static_cast<int64_t>(state.cpu_ns));
  }
}

void Ranks::Impl::look_for_all_stopped() {
  if (phase_ != Phase::kRunning || trace::monotonic_ns() < next_look_ns_) return;
  next_look_ns_ = deadline_after_ms(kLookMs);
  // Time goes on, for those who stand still.
  trace_.record(trace::Event::kBeat, trace::Stage::kNone);
  const bool all = std::all_of(children_.begin(), children_.end(), [](const Child& child) {
    return !child.running() || trace::process_state(child.pid()).is_stopped();
  });
  looks_all_stopped_ = all ? looks_all_stopped_ + 1 : 0;
  if (looks_all_stopped_ == 1) observe_stopped_ones();
  if (all && looks_all_stopped_ * kLookMs >= spec_.all_stopped_ms) {
    begin_ending(EndReason::kAllRanksStopped, Phase::kTerminating, spec_.term_ms);
  }
}

void Ranks::Impl::leave_deaf_ones() {
  for (size_t rank = 0; rank < children_.size(); ++rank) {
    if (!children_[rank].running()) continue;
    ends_[rank].deaf = true;
    trace_.incident(
        trace::Event::kUnkillable, trace::Stage::kNone,
        "rank=" + std::to_string(rank) + " " + to_text(trace::process_state(children_[rank].pid())),
        children_[rank].pid(), -1);
    children_[rank].leave();
  }
  phase_ = Phase::kOver;
}

void Ranks::Impl::advance() {
  uint64_t asked = 0;
  const bool stop_now = read(stop_.get(), &asked, sizeof asked) == sizeof asked;
  const bool is_due = trace::monotonic_ns() >= next_ns_;
  if (stop_now && (phase_ == Phase::kRunning || phase_ == Phase::kGrace)) {
    begin_ending(EndReason::kStopped, Phase::kTerminating, spec_.term_ms);
  } else if (!is_due) {
    return;
  } else if (phase_ == Phase::kRunning) {
    begin_ending(EndReason::kDeadline, Phase::kTerminating, spec_.term_ms);
  } else if (phase_ == Phase::kGrace) {
    begin_ending(reason_, Phase::kTerminating, spec_.term_ms);
  } else if (phase_ == Phase::kTerminating) {
    begin_ending(reason_, Phase::kKilling, spec_.kill_ms);
  } else if (phase_ == Phase::kKilling) {
    leave_deaf_ones();
  }
}

bool Ranks::Impl::step(int timeout_ms, int wake_fd) {
  if (phase_ == Phase::kOver) return false;
  wait_for_event(timeout_ms, wake_fd);
  reap();
  if (phase_ != Phase::kOver) advance();
  look_for_all_stopped();
  return phase_ != Phase::kOver;
}

Ranks::Ranks(RanksSpec spec) : impl_(std::make_unique<Impl>(std::move(spec))) {}

Ranks::~Ranks() {
  request_stop();
  while (step(1'000)) {
  }
}

bool Ranks::step(int timeout_ms, int wake_fd) { return impl_->step(timeout_ms, wake_fd); }
void Ranks::request_stop() noexcept { impl_->request_stop(); }
const std::vector<RankEnd>& Ranks::ends() const { return impl_->ends(); }
EndReason Ranks::reason() const { return impl_->reason(); }
bool Ranks::owns(pid_t pid) const { return impl_->owns(pid); }

}  // namespace batch71::launch
