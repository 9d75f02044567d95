// Talks to the zygote.
#include "loader/zygote_link.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>

#include "loader/child_process.h"
#include "trace/clock.h"
#include "trace/errors.h"

namespace batch71::loader {
namespace {

constexpr int kKillWaitMs = 1'000;

// Waits for `fd` at most until `deadline_ns`; false if that passed.
bool wait_readable(int fd, uint64_t deadline_ns) {
  for (;;) {
    const uint64_t now_ns = trace::monotonic_ns();
    if (now_ns >= deadline_ns) return false;
    pollfd entry{fd, POLLIN, 0};
    const int ready = poll(&entry, 1, static_cast<int>((deadline_ns - now_ns) / 1'000'000 + 1));
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return false;
  }
}

}  // namespace

ZygoteLink::ZygoteLink(const ChildSetup& setup) {
  if (count_threads() != 1) {
    throw UsageError(
        "the loader forks its workers and must be made before the process has threads; make it "
        "first, and "
        "set OMP_NUM_THREADS=1 and OPENBLAS_NUM_THREADS=1");
  }
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    throw std::runtime_error(std::string("socketpair: ") + std::strerror(errno));
  }
  socket_.reset(ends[0]);
  UniqueFd theirs(ends[1]);
  const pid_t self = getpid();
  const pid_t pid = fork();
  if (pid < 0) throw std::runtime_error(std::string("fork: ") + std::strerror(errno));
  if (pid == 0) run_zygote(setup, theirs.get(), self);
  pidfd_ = open_process(pid);
  try {
    await_ready(setup.config.guards.startup_deadline_ms);
  } catch (...) {
    end();
    throw;
  }
}

ZygoteLink::~ZygoteLink() { end(); }

void ZygoteLink::await_ready(int deadline_ms) {
  wait_readable(socket_.get(),
                trace::monotonic_ns() + static_cast<uint64_t>(deadline_ms) * 1'000'000);
  const std::optional<ZygoteEvent> first = receive();
  if (!first) {
    throw UsageError(
        "the dataset and featurizer were not made within startup_deadline_ms in a child process");
  }
  if (first->report.kind != ZygoteReport::Kind::kReady) {
    throw UsageError(std::string("the workers cannot start: ") + first->report.why.data());
  }
}

bool ZygoteLink::spawn(const SpawnRequest& request) {
  return send(socket_.get(), &request, sizeof request, MSG_NOSIGNAL | MSG_DONTWAIT) ==
         sizeof request;
}

std::optional<ZygoteEvent> ZygoteLink::receive() {
  ZygoteEvent event;
  iovec part{&event.report, sizeof event.report};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const ssize_t got = recvmsg(socket_.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (got != static_cast<ssize_t>(sizeof event.report)) return std::nullopt;
  const cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (header != nullptr && header->cmsg_type == SCM_RIGHTS) {
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
    event.pidfd.reset(fd);
  }
  return event;
}

bool ZygoteLink::is_gone() const {
  pollfd entry{pidfd_.get(), POLLIN, 0};
  return poll(&entry, 1, 0) > 0;
}

std::vector<ZygoteReport> ZygoteLink::finish(uint64_t deadline_ns) {
  std::vector<ZygoteReport> exits;
  shutdown(socket_.get(), SHUT_WR);
  while (wait_readable(socket_.get(), deadline_ns)) {
    const std::optional<ZygoteEvent> event = receive();
    if (!event) break;  // its end is closed: it ended
    if (event->report.kind == ZygoteReport::Kind::kExited) exits.push_back(event->report);
  }
  wait_readable(pidfd_.get(), deadline_ns);
  return exits;
}

void ZygoteLink::end() {
  if (!pidfd_) return;
  socket_.reset();
  if (!is_gone()) kill_process(pidfd_.get());
  wait_readable(pidfd_.get(), trace::monotonic_ns() + uint64_t{kKillWaitMs} * 1'000'000);
  siginfo_t info{};
  waitid(P_PIDFD, static_cast<id_t>(pidfd_.get()), &info, WEXITED | WNOHANG);
  pidfd_.reset();
}

}  // namespace batch71::loader
