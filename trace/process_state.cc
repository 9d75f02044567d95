// Reads /proc for observations; see the header for what is never touched.
#include "trace/process_state.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cstdlib>
#include <sstream>
#include <utility>
#include <vector>

namespace batch71::trace {
namespace {

// procfs answers a read of these in one piece; no file here is longer.
std::string read_small(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return {};
  std::array<char, 4096> buffer{};
  const ssize_t length = read(fd, buffer.data(), buffer.size());
  close(fd);
  return length > 0 ? std::string(buffer.data(), static_cast<size_t>(length)) : std::string();
}

struct Syscall {
  int64_t number;
  const char* name;
  bool takes_fd;
};
constexpr Syscall kSyscalls[] = {
    {SYS_read, "read", true},
    {SYS_pread64, "pread64", true},
    {SYS_readv, "readv", true},
    {SYS_write, "write", true},
    {SYS_lseek, "lseek", true},
    {SYS_fsync, "fsync", true},
    {SYS_recvmsg, "recvmsg", true},
    {SYS_recvfrom, "recvfrom", true},
    {SYS_sendmsg, "sendmsg", true},
    {SYS_sendto, "sendto", true},
    {SYS_connect, "connect", true},
    {SYS_flock, "flock", true},
    {SYS_epoll_pwait, "epoll_pwait", true},
    {SYS_openat, "openat", false},
    {SYS_futex, "futex", false},
    {SYS_ppoll, "ppoll", false},
    {SYS_close, "close", true},
    {SYS_wait4, "wait4", false},
    {SYS_waitid, "waitid", false},
    {SYS_nanosleep, "nanosleep", false},
    {SYS_clock_nanosleep, "clock_nanosleep", false},
    {SYS_newfstatat, "newfstatat", false},
    {SYS_statx, "statx", false},
    {SYS_fstat, "fstat", true},
#if defined(__x86_64__)
    {SYS_open, "open", false},
    {SYS_stat, "stat", false},
    {SYS_poll, "poll", false},
    {SYS_pause, "pause", false},
    {SYS_epoll_wait, "epoll_wait", true},
    {SYS_select, "select", false},
#endif
};

void parse_stat(const std::string& stat, ProcessState& out) {
  const size_t after_name = stat.rfind(')');  // the name itself may hold spaces and brackets
  if (after_name == std::string::npos) return;
  std::istringstream fields(stat.substr(after_name + 1));
  std::vector<std::string> field;  // field[0] is field 3 of proc(5)
  for (std::string word; fields >> word;) field.push_back(word);
  if (field.size() < 20) return;
  out.state = field[0][0];
  const uint64_t clock_ticks =
      std::strtoull(field[11].c_str(), nullptr, 10) + std::strtoull(field[12].c_str(), nullptr, 10);
  static const auto kTicksPerSecond = static_cast<uint64_t>(sysconf(_SC_CLK_TCK));
  out.cpu_ns = clock_ticks * (1'000'000'000 / kTicksPerSecond);
  out.start_ticks = std::strtoull(field[19].c_str(), nullptr, 10);
}

void parse_syscall(const std::string& line, ProcessState& out) {
  if (line.empty() || line[0] == 'r' || line[0] == '-') return;  // "running", or not in a call
  char* end = nullptr;
  out.syscall = std::strtoll(line.c_str(), &end, 10);
  out.syscall_name = std::to_string(out.syscall);
  for (const Syscall& known : kSyscalls) {
    if (known.number != out.syscall) continue;
    out.syscall_name = known.name;
    if (known.takes_fd) out.fd = static_cast<int>(std::strtol(end, nullptr, 16));
  }
}

ProcessState state_at(const std::string& folder, int pid) {
  ProcessState out;
  parse_stat(read_small(folder + "/stat"), out);
  if (out.state == 0) return out;
  out.wchan = read_small(folder + "/wchan");
  if (out.wchan == "0") out.wchan.clear();
  parse_syscall(read_small(folder + "/syscall"), out);
  if (out.fd >= 0) {
    std::array<char, 4096> target{};
    const std::string link = "/proc/" + std::to_string(pid) + "/fd/" + std::to_string(out.fd);
    const ssize_t length = readlink(link.c_str(), target.data(), target.size());
    if (length > 0) out.file.assign(target.data(), static_cast<size_t>(length));
  }
  return out;
}

}  // namespace

ProcessState process_state(int pid) {
  const std::string folder = "/proc/" + std::to_string(pid);
  ProcessState out = state_at(folder + "/task/" + std::to_string(pid), pid);
  ProcessState group;
  parse_stat(read_small(folder + "/stat"), group);
  out.cpu_ns = group.cpu_ns;
  if (out.state == 0) out = group;
  return out;
}

ProcessState thread_state(int pid, int tid) {
  return state_at("/proc/" + std::to_string(pid) + "/task/" + std::to_string(tid), pid);
}

std::string to_text(const ProcessState& state) {
  std::string text = "state=";
  text += state.state == 0 ? std::string("gone") : std::string(1, state.state);
  if (!state.wchan.empty()) text += " wchan=" + state.wchan;
  if (!state.syscall_name.empty()) text += " syscall=" + state.syscall_name;
  if (state.fd >= 0) text += " fd=" + std::to_string(state.fd);
  text += " cpu_ms=" + std::to_string(state.cpu_ns / 1'000'000);
  if (!state.file.empty()) text += " file=" + state.file;
  return text;
}

std::optional<ProcessState> parse_process_state(std::string_view text) {
  const size_t begin = text.find("state=");
  if (begin == std::string_view::npos) return std::nullopt;
  text.remove_prefix(begin);
  text = text.substr(0, text.find('\n'));
  ProcessState out;
  if (const size_t file = text.find(" file="); file != std::string_view::npos) {
    out.file = text.substr(file + 6);
    text = text.substr(0, file);
  }
  std::istringstream words{std::string(text)};
  for (std::string word; words >> word;) {
    const size_t equals = word.find('=');
    if (equals == std::string::npos) continue;
    const std::string key = word.substr(0, equals);
    const std::string value = word.substr(equals + 1);
    if (key == "state") out.state = value == "gone" || value.empty() ? '\0' : value[0];
    if (key == "wchan") out.wchan = value;
    if (key == "syscall") out.syscall_name = value;
    if (key == "fd") out.fd = std::atoi(value.c_str());
    if (key == "cpu_ms") out.cpu_ns = std::strtoull(value.c_str(), nullptr, 10) * 1'000'000;
  }
  return out;
}

}  // namespace batch71::trace
