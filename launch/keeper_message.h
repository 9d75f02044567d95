// What a gate tells its keeper: one datagram a message, a descriptor with it where there is one.
//
// Bytes: the verb, then the path. The answer is one byte: it is done.
#pragma once

#include <optional>
#include <string>

#include "launch/fd.h"

namespace batch71::launch {

enum class KeeperVerb : char {
  kHello = 'h',
  kWatchCell = 'w',    // path: its cgroup; descriptor: pidfd of its first process
  kForgetCell = 'f',   // path: its cgroup
  kRemoveAtEnd = 'r',  // path: a folder
  kKeepFolder = 'k',   // path: a folder
};

struct KeeperMessage {
  KeeperVerb verb{};
  std::string path;
};

// Throws std::runtime_error if the other side is gone.
void send_message(int socket, const KeeperMessage& message, int fd = -1);
// The next message, which must be there; nullopt when the other side is gone.
std::optional<KeeperMessage> receive_message(int socket, UniqueFd* fd);

}  // namespace batch71::launch
