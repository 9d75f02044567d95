// Sees to it that nothing of a gate outlives it, not even after `kill -9`.
//
// The program batch71-keeper runs in a session of its own and holds a pidfd on this process. When that
// ends, however it does, the keeper kills the cells it was told of, removes their cgroups and the
// temporary folders it was told of, and ends. At its start it removes the cgroups of gates that are
// dead, and their marked folders in /tmp and /dev/shm. Should the keeper die first, PR_SET_PDEATHSIG still ends every cell.
// Threads: from one at a time. Every call waits for the keeper's answer, at most kAnswerDeadlineMs.
#pragma once

#include <string>

#include "launch/process.h"

namespace batch71::launch {

struct KeeperMessage;

class Keeper {
 public:
  static constexpr int kAnswerDeadlineMs = 5'000;

  Keeper();   // starts it; throws std::runtime_error with the reason
  ~Keeper();  // lets it clean up what is still registered, bounded
  Keeper(const Keeper&) = delete;
  Keeper& operator=(const Keeper&) = delete;

  // A cell's first process.
  void watch_cell(int pidfd, const std::string& cgroup_path);
  void forget_cell(const std::string& cgroup_path);
  // A folder to be removed, with all that is in it, when this process ends.
  void remove_at_end(const std::string& folder);
  void keep_folder(const std::string& folder);
  // A new marked folder in `parent`, 0700, registered to be removed at the end.
  std::string make_temporary_folder(const std::string& parent);

  int pid() const { return child_.pid(); }

 private:
  void tell(const KeeperMessage& message, int fd = -1);

  UniqueFd socket_;
  Child child_;
};

}  // namespace batch71::launch
