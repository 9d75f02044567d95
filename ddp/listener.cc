// Connects, again and again.
#include "ddp/listener.h"

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <memory>

#include "loader/unique_fd.h"
#include "trace/clock.h"

namespace batch71::ddp {
namespace {

constexpr int kRetryMs = 5;        // a refusal offers nothing to wait on
constexpr int kConnectMs = 1'000;  // one attempt, to a host that does not answer

int connect_error(const addrinfo& to, int patience_ms) {
  const loader::UniqueFd fd(
      socket(to.ai_family, to.ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, to.ai_protocol));
  if (!fd) return errno;
  if (connect(fd.get(), to.ai_addr, to.ai_addrlen) == 0) return 0;
  if (errno != EINPROGRESS) return errno;
  pollfd connected{fd.get(), POLLOUT, 0};
  if (poll(&connected, 1, patience_ms) != 1) return ETIMEDOUT;
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  return error;
}

}  // namespace

bool await_listener(const std::string& host, int port, uint64_t deadline_ns) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found) != 0) return false;
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> addresses(found, freeaddrinfo);
  while (trace::monotonic_ns() < deadline_ns) {
    for (const addrinfo* to = addresses.get(); to != nullptr; to = to->ai_next) {
      if (connect_error(*to, kConnectMs) == 0) return true;
    }
    poll(nullptr, 0, kRetryMs);
  }
  return false;
}

}  // namespace batch71::ddp
