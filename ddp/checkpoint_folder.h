// Where a job's checkpoint lies: a folder that one job at a time has. For rank 0.
//
//   checkpoint           the newest whole one
//   checkpoint.partial   the next one, while it is written; then it is flushed and renamed, so that a kill
//                        or a power cut leaves the old one or the new one
//   lock                 held (flock) and signed with its pid by the process whose job it is; a process that
//                        ends by whatever means lets go of it
#pragma once

#include <optional>
#include <string>

#include "ddp/checkpoint.h"
#include "loader/unique_fd.h"

namespace batch71::ddp {

class CheckpointFolder {
 public:
  // Makes the folder if it is not there. Waits at most `patience_ms` for an earlier attempt that is just
  // ending. Removes a partial file that an earlier attempt left. UsageError: it cannot be had, or what is
  // in it is not whole.
  CheckpointFolder(const std::string& folder, int patience_ms);

  // The bytes of the checkpoint that was in it; "" for none.
  const std::string& found() const { return found_; }
  // Returns its size in bytes. Throws std::runtime_error, for instance when the disk is full; the former
  // checkpoint is still there then.
  int64_t write(const Checkpoint& checkpoint);

  std::string path() const { return folder_ + "/checkpoint"; }
  // The file of an earlier attempt that was removed; "" for none.
  const std::string& removed() const { return removed_; }

 private:
  void lock(int patience_ms);
  void read();

  std::string folder_;
  loader::UniqueFd lock_;
  std::string removed_;
  std::string found_;
};

}  // namespace batch71::ddp
