// Starts a program and holds it by its pidfd: nothing is ever signalled or reaped by number.
//
// `start_process` returns once the program was exec'd, or throws std::runtime_error with the reason.
// The child begins with default signal handling, an empty signal mask, and only the descriptors that
// it was meant to have (ours are all close-on-exec).
// PR_SET_PDEATHSIG: the kernel kills the child when the *thread* that started it ends, not the
// process, and only the child, not its children. So start from a thread that outlives the child; a
// tree of processes needs a pid namespace (launch/cell.h) on top.
// Threads: a Child belongs to one thread at a time. No SIGCHLD handler, no waitpid(-1).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "launch/fd.h"

namespace batch71::launch {

using Environment = std::map<std::string, std::string>;

struct ProcessSpec {
  std::vector<std::string> argv;   // argv[0]: a path, or a name to be found in PATH
  Environment env;                 // added to ours; replaces what is there
  std::string working_folder;      // empty: ours
  std::string output_path;         // stdout and stderr, appended; empty: see output_fd
  int output_fd = -1;              // stdout and stderr; -1: ours
  std::vector<int> inherited_fds;  // stay open under the same number
  bool dies_with_starter = true;   // PR_SET_PDEATHSIG, SIGKILL
  bool new_session = false;        // out of reach of the terminal's Ctrl-C
  bool ends_group = false;         // with it all of its process group is killed; needs new_session
  int cgroup_procs_fd = -1;        // an open cgroup.procs, which the child enters before exec
  uint64_t namespaces = 0;         // CLONE_NEWPID | ...: the child is made in new ones (needs root)
};

struct Ending {
  int wait_status = 0;        // waitpid's encoding
  uint64_t monotonic_ns = 0;  // when it was reaped
  int exit_code() const;      // -1 when ended by a signal
  int signal() const;         // 0 when it exited
};
std::string to_text(const Ending& ending);  // "exit 3", "signal 9"

enum class StopResult {
  kEnded,
  kDeaf,  // lived on after SIGKILL (state D): left alone
};

class Child {
 public:
  Child() = default;
  Child(pid_t pid, UniqueFd pidfd, bool ends_group);
  // Kills, and reaps within kDestructorDeadlineMs; what is deaf to SIGKILL is named on stderr, and left.
  ~Child();
  Child(Child&& other) noexcept;
  Child& operator=(Child&& other) noexcept;

  static constexpr int kDestructorDeadlineMs = 2000;

  pid_t pid() const { return pid_; }
  int pidfd() const { return pidfd_.get(); }
  bool running() const { return pid_ > 0 && !ending_; }
  const std::optional<Ending>& ending() const { return ending_; }

  // Waits for its end and reaps it; nullopt if it still runs then. 0: only looks.
  std::optional<Ending> wait(int deadline_ms);
  // False if it has already ended.
  bool send_signal(int signal) const;
  // SIGTERM, then after `grace_ms` SIGKILL, then `kill_ms` to go.
  StopResult stop(int grace_ms, int kill_ms);
  // Lets go of it, running as it is: for one that is deaf to SIGKILL.
  void leave();

 private:
  void end_bounded() noexcept;

  pid_t pid_ = -1;
  UniqueFd pidfd_;
  bool ends_group_ = false;
  std::optional<Ending> ending_;
};

Child start_process(const ProcessSpec& spec);

// The path of a program that was built beside this one.
std::string sibling_program(const std::string& name);

}  // namespace batch71::launch
