// Sends and receives messages with SCM_RIGHTS (unix(7)).
#include "launch/keeper_message.h"

#include <limits.h>
#include <sys/socket.h>

#include <array>
#include <cstring>
#include <stdexcept>

namespace batch71::launch {
namespace {

constexpr size_t kMaxMessageBytes = 1 + PATH_MAX;

union FdBuffer {
  cmsghdr align;
  char bytes[CMSG_SPACE(sizeof(int))];
};

}  // namespace

void send_message(int socket, const KeeperMessage& message, int fd) {
  std::string bytes = static_cast<char>(message.verb) + message.path;
  iovec part{bytes.data(), bytes.size()};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  FdBuffer buffer{};
  if (fd >= 0) {
    header.msg_control = buffer.bytes;
    header.msg_controllen = sizeof buffer.bytes;
    cmsghdr* control = CMSG_FIRSTHDR(&header);
    control->cmsg_level = SOL_SOCKET;
    control->cmsg_type = SCM_RIGHTS;
    control->cmsg_len = CMSG_LEN(sizeof fd);
    std::memcpy(CMSG_DATA(control), &fd, sizeof fd);
  }
  if (bytes.size() > kMaxMessageBytes ||
      sendmsg(socket, &header, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
    throw std::runtime_error("the keeper cannot be told: " + message.path);
  }
}

std::optional<KeeperMessage> receive_message(int socket, UniqueFd* fd) {
  std::array<char, kMaxMessageBytes> bytes;
  iovec part{bytes.data(), bytes.size()};
  FdBuffer buffer{};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = buffer.bytes;
  header.msg_controllen = sizeof buffer.bytes;
  const ssize_t length = recvmsg(socket, &header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  if (length <= 0) return std::nullopt;
  const cmsghdr* control = CMSG_FIRSTHDR(&header);
  if (control != nullptr && control->cmsg_type == SCM_RIGHTS) {
    int received = -1;
    std::memcpy(&received, CMSG_DATA(control), sizeof received);
    *fd = UniqueFd(received);
  }
  return KeeperMessage{static_cast<KeeperVerb>(bytes[0]),
                       std::string(bytes.data() + 1, static_cast<size_t>(length) - 1)};
}

}  // namespace batch71::launch
