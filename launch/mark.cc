// Makes and reads marked names.
#include "launch/mark.h"

#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <charconv>

#include "trace/process_state.h"

namespace batch71::launch {
namespace {

std::string namespace_mark() {
  struct stat info {};
  stat("/proc/self/ns/pid", &info);
  return "batch71-" + std::to_string(info.st_ino) + "-";
}

}  // namespace

std::string mark_of(int pid) {
  return namespace_mark() + std::to_string(pid) + "-" +
         std::to_string(trace::process_state(pid).start_ticks) + "-";
}

std::string next_marked_name() {
  static std::atomic<int> next{0};
  return mark_of(getpid()) + std::to_string(next.fetch_add(1));
}

bool is_stale(std::string_view name) {
  const std::string ours = namespace_mark();
  if (!name.starts_with(ours)) return false;
  int pid = 0;
  const auto parsed = std::from_chars(name.data() + ours.size(), name.data() + name.size(), pid);
  if (parsed.ec != std::errc() || pid <= 0) return false;
  // A dead one whose parent does not reap it keeps its entry.
  return trace::process_state(pid).state == 'Z' || !name.starts_with(mark_of(pid));
}

}  // namespace batch71::launch
