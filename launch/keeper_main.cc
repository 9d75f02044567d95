// batch71-keeper SOCKET_FD GATE_PID: outlives a gate by a moment, and cleans up; see launch/keeper.h.
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <set>

#include "launch/cgroup.h"
#include "launch/keeper_message.h"
#include "launch/mark.h"

namespace batch71::launch {
namespace {

namespace fs = std::filesystem;

class Books {
 public:
  // Holds what the message says; false when there will be no more messages.
  bool take_message(int socket);
  // Ends the cells and removes cgroups and folders.
  void clean_up();

 private:
  std::map<std::string, UniqueFd> cells_;  // by cgroup
  std::set<std::string> folders_;
};

bool Books::take_message(int socket) {
  UniqueFd fd;
  const std::optional<KeeperMessage> message = receive_message(socket, &fd);
  if (!message) return false;
  switch (message->verb) {
    case KeeperVerb::kHello: break;
    case KeeperVerb::kWatchCell: cells_[message->path] = std::move(fd); break;
    case KeeperVerb::kForgetCell: cells_.erase(message->path); break;
    case KeeperVerb::kRemoveAtEnd: folders_.insert(message->path); break;
    case KeeperVerb::kKeepFolder: folders_.erase(message->path); break;
  }
  const char answer = 'o';
  return send(socket, &answer, 1, MSG_NOSIGNAL) == 1;
}

void Books::clean_up() {
  constexpr int kCellDeadlineMs = 3'000;
  for (const auto& [cgroup, pidfd] : cells_) {
    syscall(SYS_pidfd_send_signal, pidfd.get(), SIGKILL, nullptr, 0);
  }
  const uint64_t deadline_ns = deadline_after_ms(kCellDeadlineMs);
  for (const auto& [cgroup, pidfd] : cells_) {
    // A frozen process does not die of SIGKILL: its cgroup is thawed and emptied first.
    remove_cgroup(cgroup, ms_until(deadline_ns));
    wait_readable(pidfd.get(), deadline_ns);
  }
  std::error_code failed;
  for (const std::string& folder : folders_) fs::remove_all(folder, failed);
}

void remove_stale_folders() {
  std::error_code failed;
  for (const char* parent : {"/tmp", "/dev/shm"}) {
    for (const auto& entry : fs::directory_iterator(parent, failed)) {
      if (is_stale(entry.path().filename().string())) fs::remove_all(entry.path(), failed);
    }
  }
}

int main_of_keeper(int socket, int gate_pid) {
  const UniqueFd gate(static_cast<int>(syscall(SYS_pidfd_open, gate_pid, 0)));
  const std::string mark = mark_of(gate_pid);
  fcntl(socket, F_SETFD, FD_CLOEXEC);
  remove_stale_cgroups();
  remove_stale_folders();
  Books books;
  // The one wait without a deadline of its own: its end is the gate's end.
  while (true) {
    pollfd fds[2] = {{gate.get(), POLLIN, 0}, {socket, POLLIN, 0}};
    if (poll(fds, 2, -1) < 0) continue;
    if (fds[0].revents != 0) break;
    if (fds[1].revents != 0 && !books.take_message(socket)) break;
  }
  books.clean_up();
  // It may have died between making a cgroup and telling of it.
  if (wait_readable(gate.get(), 0)) remove_cgroups_of(mark);
  return 0;
}

}  // namespace
}  // namespace batch71::launch

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  return batch71::launch::main_of_keeper(std::atoi(argv[1]), std::atoi(argv[2]));
}
