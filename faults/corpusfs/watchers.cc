// Waits for a file to be opened.
#include "faults/corpusfs/watchers.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>

#include <array>
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
  // A SIGTERM must not outrun an open that came before it: it waits until the event was looked at.
  sigset_t ending, before;
  sigemptyset(&ending);
  sigaddset(&ending, SIGTERM);
  sigprocmask(SIG_BLOCK, &ending, &before);
  const launch::UniqueFd ended(signalfd(-1, &ending, SFD_CLOEXEC));
  on_ready();
  std::array<pollfd, 2> fds{{{watch.get(), POLLIN, 0}, {ended.get(), POLLIN, 0}}};
  if (!ended || poll(fds.data(), fds.size(), -1) < 0) fail(path);
  if (fds[0].revents != 0) log.struck(-1, path, "open", "log");
  sigprocmask(SIG_SETMASK, &before, nullptr);
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
