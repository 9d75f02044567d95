// Starts, waits for, stops and reaps one process by its pidfd.
#include "launch/process.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <array>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <stdexcept>

#include "trace/errors.h"
#include "trace/process_state.h"

extern char** environ;

namespace batch71::launch {
namespace {

namespace fs = std::filesystem;

constexpr int kExecDeadlineMs = 10'000;
constexpr const char* kDefaultPath = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin";

std::string resolve_program(const std::string& name) {
  if (name.find('/') != std::string::npos) return fs::absolute(name).string();
  const char* configured = std::getenv("PATH");
  const std::string path = configured != nullptr ? configured : kDefaultPath;
  for (size_t begin = 0; begin <= path.size();) {
    const size_t end = std::min(path.find(':', begin), path.size());
    const std::string candidate = path.substr(begin, end - begin) + "/" + name;
    if (access(candidate.c_str(), X_OK) == 0) return candidate;
    begin = end + 1;
  }
  throw UsageError(name + ": not found in PATH");
}

std::vector<std::string> merged_environment(const Environment& added) {
  std::vector<std::string> out;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    if (!added.contains(text.substr(0, text.find('=')))) out.push_back(text);
  }
  for (const auto& [key, value] : added) out.push_back(key + "=" + value);
  return out;
}

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> out;
  for (std::string& text : strings) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

// All that the child needs between clone and exec: there it may neither allocate nor lock.
struct Prepared {
  const char* program = nullptr;
  char* const* argv = nullptr;
  char* const* envp = nullptr;
  const char* working_folder = nullptr;
  int input_fd = -1;
  int output_fd = -1;
  int error_fd = -1;
  int cgroup_procs_fd = -1;
  const std::vector<int>* inherited_fds = nullptr;
  bool dies_with_starter = true;
  bool new_session = false;
  pid_t starter = -1;  // -1: cannot be compared, since the child is in another pid namespace
};

// What failed, as the child reports it through the error pipe.
struct Failure {
  int error = 0;
  std::array<char, 32> what{};
};

constexpr const char* kExec = "run it";

std::string remedy_of_exec(int error) {
  switch (error) {
    case ENOENT: return "name a program that is there (and its interpreter, if it is a script)";
    case ENOEXEC: return "it is no program of this machine; a script begins with #! and its shell";
    default: return "name an executable file";
  }
}

[[noreturn]] void fail_in_child(const Prepared& prepared, const char* what) {
  Failure failure;
  failure.error = errno;
  std::strncpy(failure.what.data(), what, failure.what.size() - 1);
  (void)!write(prepared.error_fd, &failure, sizeof failure);
  _exit(127);
}

void reset_signals() {
  for (int signal_number = 1; signal_number < NSIG; ++signal_number) {
    signal(signal_number, SIG_DFL);
  }
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

[[noreturn]] void become(const Prepared& prepared) {
  reset_signals();
  if (prepared.dies_with_starter) {
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) fail_in_child(prepared, "PR_SET_PDEATHSIG");
    // It may have died before the line above.
    if (prepared.starter > 0 && getppid() != prepared.starter) _exit(127);
  }
  if (prepared.new_session) setsid();
  if (prepared.cgroup_procs_fd >= 0 && write(prepared.cgroup_procs_fd, "0", 1) != 1) {
    fail_in_child(prepared, "enter the cgroup");
  }
  if (dup2(prepared.input_fd, STDIN_FILENO) < 0) fail_in_child(prepared, "dup2");
  if (prepared.output_fd >= 0 && (dup2(prepared.output_fd, STDOUT_FILENO) < 0 ||
                                  dup2(prepared.output_fd, STDERR_FILENO) < 0)) {
    fail_in_child(prepared, "dup2");
  }
  for (const int fd : *prepared.inherited_fds) {
    if (fcntl(fd, F_SETFD, 0) != 0) fail_in_child(prepared, "inherit a descriptor");
  }
  if (prepared.working_folder != nullptr && chdir(prepared.working_folder) != 0) {
    fail_in_child(prepared, "chdir");
  }
  execve(prepared.program, prepared.argv, prepared.envp);
  fail_in_child(prepared, kExec);
}

UniqueFd open_or_throw(const std::string& path, int flags) {
  UniqueFd fd(open(path.c_str(), flags | O_CLOEXEC, 0644));
  if (!fd) throw std::runtime_error(path + ": " + std::strerror(errno));
  return fd;
}

// The raw call: fork() has no pidfd, and clone(2) of glibc wants a stack of its own.
pid_t clone_with_pidfd(uint64_t namespaces, int* pidfd) {
  return static_cast<pid_t>(
      syscall(SYS_clone, namespaces | CLONE_PIDFD | SIGCHLD, nullptr, pidfd, nullptr, nullptr));
}

// Returns once exec closed the pipe; throws what the child reported.
void await_exec(int error_fd, const std::string& program) {
  if (!wait_readable(error_fd, deadline_after_ms(kExecDeadlineMs))) {
    throw std::runtime_error(program + ": not started within its deadline");
  }
  Failure failure;
  if (read(error_fd, &failure, sizeof failure) == static_cast<ssize_t>(sizeof failure)) {
    const std::string what =
        program + ": cannot " + failure.what.data() + ": " + std::strerror(failure.error);
    const bool is_no_program = failure.what.data() == std::string_view(kExec);
    if (is_no_program) throw UsageError(what + "; " + remedy_of_exec(failure.error));
    throw std::runtime_error(what);
  }
}

Ending ending_of(const siginfo_t& info) {
  Ending out;
  out.monotonic_ns = trace::monotonic_ns();
  if (info.si_code == CLD_EXITED)
    out.wait_status = W_EXITCODE(info.si_status, 0);
  else
    out.wait_status = info.si_status | (info.si_code == CLD_DUMPED ? WCOREFLAG : 0);
  return out;
}

}  // namespace

int Ending::exit_code() const { return WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : -1; }
int Ending::signal() const { return WIFSIGNALED(wait_status) ? WTERMSIG(wait_status) : 0; }

std::string to_text(const Ending& ending) {
  return ending.signal() != 0 ? "signal " + std::to_string(ending.signal())
                              : "exit " + std::to_string(ending.exit_code());
}

Child::Child(pid_t pid, UniqueFd pidfd, bool ends_group)
    : pid_(pid), pidfd_(std::move(pidfd)), ends_group_(ends_group) {}

Child::~Child() { end_bounded(); }

Child::Child(Child&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      pidfd_(std::move(other.pidfd_)),
      ends_group_(other.ends_group_),
      ending_(std::exchange(other.ending_, std::nullopt)) {}

Child& Child::operator=(Child&& other) noexcept {
  if (this != &other) {
    end_bounded();
    pid_ = std::exchange(other.pid_, -1);
    pidfd_ = std::move(other.pidfd_);
    ends_group_ = other.ends_group_;
    ending_ = std::exchange(other.ending_, std::nullopt);
  }
  return *this;
}

void Child::end_bounded() noexcept {
  if (!running()) return;
  send_signal(SIGKILL);
  if (wait(kDestructorDeadlineMs)) return;
  const std::string state = to_text(trace::process_state(pid_));
  std::fprintf(stderr, "warning: process %d is deaf to SIGKILL and was left: %s\n", pid_,
               state.c_str());
}

std::optional<Ending> Child::wait(int deadline_ms) {
  if (!running()) return ending_;
  if (!wait_readable(pidfd_.get(), deadline_after_ms(deadline_ms))) return std::nullopt;
  // Until it is reaped no other group can have its number.
  if (ends_group_) kill(-pid_, SIGKILL);
  siginfo_t info{};
  if (waitid(P_PIDFD, static_cast<id_t>(pidfd_.get()), &info, WEXITED | WNOHANG) != 0) {
    // Reaped by someone else in this process: the end is known, the status is not.
    ending_ = Ending{W_EXITCODE(255, 0), trace::monotonic_ns()};
  } else if (info.si_pid != 0) {
    ending_ = ending_of(info);
  }
  return ending_;
}

bool Child::send_signal(int signal) const {
  return running() && syscall(SYS_pidfd_send_signal, pidfd_.get(), signal, nullptr, 0) == 0;
}

StopResult Child::stop(int grace_ms, int kill_ms) {
  send_signal(SIGTERM);
  if (wait(grace_ms) || !running()) return StopResult::kEnded;
  send_signal(SIGKILL);
  wait(kill_ms);
  return running() ? StopResult::kDeaf : StopResult::kEnded;
}

void Child::leave() {
  pid_ = -1;
  pidfd_.reset();
}

Child start_process(const ProcessSpec& spec) {
  if (spec.argv.empty()) throw std::runtime_error("a process without a program");
  const std::string program = resolve_program(spec.argv.front());
  std::vector<std::string> arguments = spec.argv;
  std::vector<std::string> environment = merged_environment(spec.env);
  const std::vector<char*> argv = pointers(arguments);
  const std::vector<char*> envp = pointers(environment);
  const UniqueFd input = open_or_throw("/dev/null", O_RDONLY);
  UniqueFd output;
  if (!spec.output_path.empty()) {
    output = open_or_throw(spec.output_path, O_WRONLY | O_CREAT | O_APPEND);
  }
  int error_pipe[2];
  if (pipe2(error_pipe, O_CLOEXEC) != 0) throw std::runtime_error("no pipe to be had");
  const UniqueFd error_read(error_pipe[0]);
  UniqueFd error_write(error_pipe[1]);

  Prepared prepared;
  prepared.program = program.c_str();
  prepared.argv = argv.data();
  prepared.envp = envp.data();
  if (!spec.working_folder.empty()) prepared.working_folder = spec.working_folder.c_str();
  prepared.input_fd = input.get();
  prepared.output_fd = output ? output.get() : spec.output_fd;
  prepared.error_fd = error_write.get();
  prepared.cgroup_procs_fd = spec.cgroup_procs_fd;
  prepared.inherited_fds = &spec.inherited_fds;
  prepared.dies_with_starter = spec.dies_with_starter;
  prepared.new_session = spec.new_session;
  prepared.starter = (spec.namespaces & CLONE_NEWPID) != 0 ? -1 : getpid();

  int pidfd = -1;
  const pid_t pid = clone_with_pidfd(spec.namespaces, &pidfd);
  if (pid < 0) throw std::runtime_error(program + ": cannot fork: " + std::strerror(errno));
  if (pid == 0) become(prepared);
  Child child(pid, UniqueFd(pidfd), spec.ends_group);
  error_write.reset();
  await_exec(error_read.get(), program);
  return child;
}

std::string sibling_program(const std::string& name) {
  return (fs::read_symlink("/proc/self/exe").parent_path() / name).string();
}

}  // namespace batch71::launch
