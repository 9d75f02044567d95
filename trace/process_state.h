// What the kernel says a process or thread is doing: the evidence of an observation.
//
// Reads only /proc/PID/{stat,wchan,syscall,fd/N}. The file behind a descriptor is named with
// readlink, never opened or stat'ed (that could block as well); cmdline, maps and environ are never
// read. Any process may be gone: then `state` is 0.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace batch71::trace {

struct ProcessState {
  char state = 0;            // R, S, D, T, t, Z, X as in ps; 0: gone
  std::string wchan;         // kernel function it sleeps in, "" when it runs or is hidden
  int64_t syscall = -1;      // number, -1 when running or hidden
  std::string syscall_name;  // "read", "futex", "openat", ... or the number
  int fd = -1;               // first argument where the call takes a descriptor
  std::string file;          // readlink of that descriptor
  uint64_t cpu_ns = 0;       // user + system time of the thread group
  uint64_t start_ticks = 0;  // field 22 of stat

  // It has ended, whether or not its parent has buried it.
  bool is_gone() const { return state == 0 || state == 'Z' || state == 'X'; }
  // By SIGSTOP or a debugger.
  bool is_stopped() const { return state == 'T' || state == 't'; }
};

ProcessState process_state(int pid);  // the main thread of `pid`, CPU of all its threads
ProcessState thread_state(int pid, int tid);

// "state=S wchan=pipe_read syscall=read fd=7 file=/corpus/a.wav cpu_ms=12", and back.
// `file` is last, so that it may hold spaces.
std::string to_text(const ProcessState& state);
std::optional<ProcessState> parse_process_state(std::string_view text);

}  // namespace batch71::trace
