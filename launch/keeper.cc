// The gate's side of the keeper.
#include "launch/keeper.h"

#include <sys/socket.h>
#include <sys/stat.h>

#include <array>
#include <cstring>
#include <stdexcept>

#include "launch/keeper_message.h"
#include "launch/mark.h"

namespace batch71::launch {

Keeper::Keeper() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    throw std::runtime_error(std::string("no socket pair: ") + std::strerror(errno));
  }
  socket_ = UniqueFd(ends[0]);
  const UniqueFd theirs(ends[1]);
  ProcessSpec process;
  process.argv = {sibling_program("batch71-keeper"), std::to_string(theirs.get()),
                  std::to_string(getpid())};
  process.inherited_fds = {theirs.get()};
  process.dies_with_starter = false;
  process.new_session = true;
  // A test that waits for the end of our output must not wait for the keeper.
  process.output_path = "/dev/null";
  child_ = start_process(process);
  tell({KeeperVerb::kHello, {}});
}

Keeper::~Keeper() {
  socket_.reset();
  constexpr int kCleanUpMs = 5'000;
  child_.wait(kCleanUpMs);
}

void Keeper::watch_cell(int pidfd, const std::string& cgroup_path) {
  tell({KeeperVerb::kWatchCell, cgroup_path}, pidfd);
}
void Keeper::forget_cell(const std::string& cgroup_path) {
  tell({KeeperVerb::kForgetCell, cgroup_path});
}
void Keeper::remove_at_end(const std::string& folder) { tell({KeeperVerb::kRemoveAtEnd, folder}); }
void Keeper::keep_folder(const std::string& folder) { tell({KeeperVerb::kKeepFolder, folder}); }

std::string Keeper::make_temporary_folder(const std::string& parent) {
  const std::string path = parent + "/" + next_marked_name();
  remove_at_end(path);
  if (mkdir(path.c_str(), 0700) != 0) throw std::runtime_error(path + ": " + std::strerror(errno));
  return path;
}

void Keeper::tell(const KeeperMessage& message, int fd) {
  send_message(socket_.get(), message, fd);
  char answer = 0;
  if (!wait_readable(socket_.get(), deadline_after_ms(kAnswerDeadlineMs)) ||
      recv(socket_.get(), &answer, 1, MSG_DONTWAIT) != 1) {
    throw std::runtime_error("the keeper (pid " + std::to_string(child_.pid()) +
                             ") does not answer");
  }
}

}  // namespace batch71::launch
