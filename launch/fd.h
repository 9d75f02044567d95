// A file descriptor that closes itself, and waiting on descriptors with a deadline.
#pragma once

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <utility>

#include "trace/clock.h"

namespace batch71::launch {

class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  ~UniqueFd() { reset(); }
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  void reset() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }

 private:
  int fd_ = -1;
};

inline constexpr uint64_t kNsPerMs = 1'000'000;

inline uint64_t deadline_after_ms(int64_t ms) {
  return trace::monotonic_ns() + static_cast<uint64_t>(ms < 0 ? 0 : ms) * kNsPerMs;
}

// Milliseconds until then, rounded up, 0 if it is past.
inline int ms_until(uint64_t deadline_ns) {
  const uint64_t now_ns = trace::monotonic_ns();
  if (deadline_ns <= now_ns) return 0;
  const uint64_t ms = (deadline_ns - now_ns + kNsPerMs - 1) / kNsPerMs;
  return ms > 1'000'000'000 ? 1'000'000'000 : static_cast<int>(ms);
}

// poll(2) that goes on after a signal; the number of ready descriptors, 0 at the deadline.
inline int poll_until(pollfd* fds, nfds_t count, uint64_t deadline_ns) {
  while (true) {
    const int ready = poll(fds, count, ms_until(deadline_ns));
    if (ready >= 0 || errno != EINTR) return ready;
  }
}

// True if `fd` has something to read (or has hung up) before the deadline.
inline bool wait_readable(int fd, uint64_t deadline_ns) {
  pollfd entry{fd, POLLIN, 0};
  return poll_until(&entry, 1, deadline_ns) > 0;
}

}  // namespace batch71::launch
