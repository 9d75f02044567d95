// Waits for a file to be opened.
#include "faults/corpusfs/watchers.h"

#include <fcntl.h>
#include <sys/inotify.h>

#include <array>
#include <climits>
#include <cstring>
#include <stdexcept>

namespace batch71::faults {
namespace {

[[noreturn]] void fail(const std::string& path) {
  throw std::runtime_error(path + ": " + std::strerror(errno));
}

}  // namespace

void await_open(const std::string& path, const StrikeLog& log,
                const std::function<void()>& on_ready) {
  const launch::UniqueFd watch(inotify_init1(IN_CLOEXEC));
  if (!watch || inotify_add_watch(watch.get(), path.c_str(), IN_OPEN) < 0) fail(path);
  on_ready();
  alignas(inotify_event) std::array<char, sizeof(inotify_event) + NAME_MAX + 1> event;
  if (read(watch.get(), event.data(), event.size()) <= 0) fail(path);
  log.struck(-1, path, "open", "log");
}

launch::UniqueFd await_fifo_reader(const std::string& path, const StrikeLog& log,
                                   const std::function<void()>& on_ready) {
  on_ready();
  launch::UniqueFd writer(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!writer) fail(path);
  log.struck(-1, path, "open", "log");
  return writer;
}

}  // namespace batch71::faults
