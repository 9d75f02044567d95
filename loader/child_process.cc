// Processes: Linux calls, no policy.
#include "loader/child_process.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

extern "C" {
#include <sys/pidfd.h>  // glibc 2.36 forgot to say that these are C
}

#include <algorithm>

namespace batch71::loader {

void die_with_parent(pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(0);
}

void reset_signals() {
  for (int number = 1; number < NSIG; ++number) signal(number, SIG_DFL);
  signal(SIGINT, SIG_IGN);
  signal(SIGTERM, SIG_IGN);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

void close_descriptors_except(std::vector<int> keep) {
  std::sort(keep.begin(), keep.end());
  unsigned next = STDERR_FILENO + 1;
  for (const int fd : keep) {
    const auto kept = static_cast<unsigned>(fd);
    if (kept > next) close_range(next, kept - 1, 0);
    next = std::max(next, kept + 1);
  }
  close_range(next, ~0u, 0);
}

void redirect_output(const std::string& path) {
  const int in = open("/dev/null", O_RDONLY);
  int out = -1;
  if (!path.empty()) out = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0600);
  if (out < 0) out = open("/dev/null", O_WRONLY);
  dup2(in, STDIN_FILENO);
  dup2(out, STDOUT_FILENO);
  dup2(out, STDERR_FILENO);
  if (in > STDERR_FILENO) close(in);
  if (out > STDERR_FILENO) close(out);
}

int count_threads() {
  DIR* tasks = opendir("/proc/self/task");
  if (tasks == nullptr) return 1;
  int count = 0;
  while (const dirent* task = readdir(tasks)) count += task->d_name[0] != '.' ? 1 : 0;
  closedir(tasks);
  return count;
}

UniqueFd open_process(pid_t pid) { return UniqueFd(pidfd_open(pid, 0)); }

bool kill_process(int pidfd) { return pidfd_send_signal(pidfd, SIGKILL, nullptr, 0) == 0; }

}  // namespace batch71::loader
