// batch71-cell SPEC [CONTROL_FD]: pid 1 of a cell; see launch/cell.h.
//
// CONTROL_FD: a byte means "end the ranks now", a hang-up that the starter is gone.
#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <stdexcept>

#include "launch/cell_books.h"
#include "launch/cell_setup.h"
#include "launch/cell_spec.h"
#include "trace/errors.h"
#include "trace/exit_code.h"

namespace batch71::launch {
namespace {

// A helper as it runs.
struct Helper {
  Child child;
  HelperEnd end;
  uint64_t release_ns = UINT64_MAX;
};

class Inside {
 public:
  Inside(const CellSpec& spec, int control_fd);
  CellResult run();

 private:
  void start_helper(const HelperSpec& spec);
  void run_ranks();
  void release_due_helpers();
  void stop_helpers();
  void await_the_rest();
  // Deals with what woke us: the starter's wish or end, and children that ended.
  void look_around();
  void look_at_control();
  void reap();
  void note_helper_end(Helper& helper);
  // Waits for `fd` or what wakes us; true if `fd` is readable.
  bool wait_for(int fd, uint64_t deadline_ns);

  const CellSpec& spec_;
  int control_fd_;
  UniqueFd child_signals_;
  UniqueFd wake_;  // epoll over both
  std::vector<Helper> helpers_;
  std::optional<Ranks> ranks_;
  bool end_asked_ = false;
  CellResult result_;
};

Inside::Inside(const CellSpec& spec, int control_fd) : spec_(spec), control_fd_(control_fd) {
  sigset_t child;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  sigprocmask(SIG_BLOCK, &child, nullptr);
  child_signals_ = UniqueFd(signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK));
  wake_ = UniqueFd(epoll_create1(EPOLL_CLOEXEC));
  for (const int fd : {child_signals_.get(), control_fd_}) {
    epoll_event event{EPOLLIN, {}};
    if (fd >= 0 && epoll_ctl(wake_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
      throw std::runtime_error("no epoll to be had");
    }
  }
}

CellResult Inside::run() {
  furnish_cell(spec_);
  const CellBooks books;
  try {
    for (const HelperSpec& helper : spec_.helpers) start_helper(helper);
    run_ranks();
  } catch (const std::exception& failed) {
    result_.error = failed.what();
  }
  stop_helpers();
  await_the_rest();
  result_.leftovers = books.leftovers();
  for (const Helper& helper : helpers_) result_.helpers.push_back(helper.end);
  return result_;
}

void Inside::start_helper(const HelperSpec& spec) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("no pipe to be had");
  const UniqueFd ready(ends[0]);
  UniqueFd helpers_end(ends[1]);
  ProcessSpec process;
  process.argv = spec.argv;
  process.env = spec.env;
  process.env["READY_FD"] = std::to_string(helpers_end.get());
  process.inherited_fds = {helpers_end.get()};
  process.output_path = spec_.case_folder + "/" + spec.name + ".log";
  Helper& helper = helpers_.emplace_back();
  helper.end.name = spec.name;
  helper.child = start_process(process);
  helper.end.pid = helper.child.pid();
  helpers_end.reset();
  char first = 0;
  helper.end.was_ready = wait_for(ready.get(), deadline_after_ms(spec.ready_deadline_ms)) &&
                         read(ready.get(), &first, 1) == 1;
  if (!helper.end.was_ready) {
    throw std::runtime_error("helper " + spec.name + " did not become ready; see " +
                             process.output_path);
  }
  helper.end.ready_monotonic_ns = trace::monotonic_ns();
}

void Inside::run_ranks() {
  if (end_asked_) throw std::runtime_error("asked to end before the ranks were started");
  ranks_.emplace(spec_.ranks);
  for (size_t i = 0; i < helpers_.size(); ++i) {
    const int after_ms = spec_.helpers[i].release_after_ms;
    if (after_ms >= 0) helpers_[i].release_ns = deadline_after_ms(after_ms);
  }
  constexpr int kIdleMs = 10'000;
  bool running = true;
  while (running) {
    uint64_t next_ns = deadline_after_ms(kIdleMs);
    for (const Helper& helper : helpers_) next_ns = std::min(next_ns, helper.release_ns);
    running = ranks_->step(ms_until(next_ns), wake_.get());
    look_around();
    release_due_helpers();
  }
  result_.ranks = ranks_->ends();
  result_.reason = name(ranks_->reason());
}

void Inside::release_due_helpers() {
  for (Helper& helper : helpers_) {
    if (trace::monotonic_ns() < helper.release_ns) continue;
    helper.release_ns = UINT64_MAX;
    helper.child.send_signal(SIGTERM);
  }
}

void Inside::stop_helpers() {
  constexpr int kKillMs = 1'000;
  for (size_t i = helpers_.size(); i-- > 0;) {
    helpers_[i].child.stop(spec_.helpers[i].stop_grace_ms, kKillMs);
    note_helper_end(helpers_[i]);
  }
}

void Inside::await_the_rest() {
  const uint64_t deadline_ns = deadline_after_ms(spec_.leftover_grace_ms);
  look_around();
  while (!other_processes().empty() && ms_until(deadline_ns) > 0) {
    // A process that is no child of ours ends unheard; it becomes one when its parent ends.
    constexpr int kUnheardMs = 20;
    wait_for(-1, std::min(deadline_ns, deadline_after_ms(kUnheardMs)));
    look_around();
  }
}

void Inside::look_around() {
  signalfd_siginfo info;
  while (read(child_signals_.get(), &info, sizeof info) > 0) {
  }
  look_at_control();
  reap();
}

void Inside::look_at_control() {
  if (control_fd_ < 0 || !wait_readable(control_fd_, 0)) return;
  char wish = 0;
  // The starter is gone: all that is in here goes with pid 1.
  if (read(control_fd_, &wish, 1) != 1) _exit(static_cast<int>(ExitCode::kFailure));
  end_asked_ = true;
  if (ranks_) ranks_->request_stop();
}

void Inside::note_helper_end(Helper& helper) {
  if (helper.end.ended || !helper.child.wait(0)) return;
  const Ending& ending = *helper.child.ending();
  helper.end.ended = true;
  helper.end.exit_code = ending.exit_code();
  helper.end.signal = ending.signal();
  helper.end.end_monotonic_ns = ending.monotonic_ns;
}

// Every process that loses its parent becomes ours. Ranks are reaped by their own supervisor.
void Inside::reap() {
  for (Helper& helper : helpers_) note_helper_end(helper);
  while (true) {
    siginfo_t info{};
    if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0) return;
    const bool is_helper = std::any_of(helpers_.begin(), helpers_.end(), [&](const Helper& helper) {
      return helper.child.running() && helper.child.pid() == info.si_pid;
    });
    if (is_helper || (ranks_ && ranks_->owns(info.si_pid))) return;
    waitpid(info.si_pid, nullptr, WNOHANG);
  }
}

bool Inside::wait_for(int fd, uint64_t deadline_ns) {
  while (true) {
    pollfd fds[2] = {{wake_.get(), POLLIN, 0}, {fd, POLLIN, 0}};
    const int ready = poll_until(fds, 2, deadline_ns);
    if (ready <= 0) return false;
    look_around();
    if (fds[1].revents != 0) return true;
    if (fd < 0) return false;
  }
}

void write_result(const std::string& case_folder, const CellResult& result) {
  const std::string path = case_folder + "/result.json";
  std::ofstream(path + ".new") << to_json(result) << "\n";
  std::filesystem::rename(path + ".new", path);
}

int main_of_cell(int argc, char** argv) {
  if (argc < 2 || argc > 3) throw UsageError("batch71-cell SPEC [CONTROL_FD]");
  if (getpid() != 1) {
    throw UsageError(
        "batch71-cell must be pid 1 of a new namespace: unshare -pmin --fork, or batch71 gate");
  }
  const CellSpec spec = read_cell_spec(argv[1]);
  const int control_fd = argc == 3 ? std::atoi(argv[2]) : -1;
  if (control_fd >= 0) fcntl(control_fd, F_SETFD, FD_CLOEXEC);
  CellResult result;
  try {
    result = Inside(spec, control_fd).run();
  } catch (const std::exception& failed) {
    result.error = failed.what();
  }
  write_result(spec.case_folder, result);
  return static_cast<int>(ExitCode::kDone);
}

}  // namespace
}  // namespace batch71::launch

int main(int argc, char** argv) {
  using batch71::ExitCode;
  try {
    return batch71::launch::main_of_cell(argc, argv);
  } catch (const batch71::UsageError& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return static_cast<int>(ExitCode::kUsage);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return static_cast<int>(ExitCode::kFailure);
  }
}
