// Where a job's checkpoint lies.
#include "ddp/checkpoint_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "loader/unique_fd.h"
#include "trace/errors.h"

namespace batch71::ddp {
namespace {

namespace fs = std::filesystem;
using loader::UniqueFd;

[[noreturn]] void refuse(const std::string& folder, const std::string& why) {
  throw UsageError(fmt::format("trainer.checkpoint_dir: {}: {}", folder, why));
}

[[noreturn]] void fail(const std::string& path) {
  throw std::runtime_error(fmt::format("{}: cannot be written: {}", path, std::strerror(errno)));
}

void write_durably(const std::string& path, const std::string& bytes) {
  const UniqueFd file(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!file) fail(path);
  for (size_t at = 0; at < bytes.size();) {
    const ssize_t wrote = ::write(file.get(), bytes.data() + at, bytes.size() - at);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) fail(path);
    at += static_cast<size_t>(wrote);
  }
  if (fsync(file.get()) != 0) fail(path);
}

void sync_folder(const std::string& path) {
  const UniqueFd folder(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder || fsync(folder.get()) != 0) fail(path);
}

// Who signed the lock, as far as it can be seen from here; -1: nobody.
int holder_of(const std::string& path) {
  int pid = -1;
  std::ifstream(path) >> pid;
  return pid;
}

// The end of a process is an event, its lock's release comes with it.
void await_end(int pid, int patience_ms) {
  const UniqueFd process(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  if (!process) return;
  pollfd ended{process.get(), POLLIN, 0};
  poll(&ended, 1, patience_ms);
}

}  // namespace

CheckpointFolder::CheckpointFolder(const std::string& folder, int patience_ms) : folder_(folder) {
  std::error_code failed;
  fs::create_directories(folder_, failed);
  if (failed) refuse(folder_, "cannot be made: " + failed.message());
  lock(patience_ms);
  const std::string partial = path() + ".partial";
  if (fs::remove(partial, failed)) removed_ = partial;
  read();
}

void CheckpointFolder::lock(int patience_ms) {
  const std::string path = folder_ + "/lock";
  lock_ = UniqueFd(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock_) refuse(folder_, fmt::format("cannot be written: {}", std::strerror(errno)));
  const auto is_ours = [&] { return flock(lock_.get(), LOCK_EX | LOCK_NB) == 0; };
  if (!is_ours()) {
    const int holder = holder_of(path);
    await_end(holder, patience_ms);
    if (!is_ours()) {
      refuse(folder_,
             fmt::format("another job has it, or an earlier attempt that has not ended (pid "
                         "{}); end it, or name another folder",
                         holder));
    }
  }
  const std::string pid = std::to_string(getpid()) + "\n";
  if (ftruncate(lock_.get(), 0) != 0 || pwrite(lock_.get(), pid.data(), pid.size(), 0) < 0) {
    refuse(folder_, fmt::format("cannot be written: {}", std::strerror(errno)));
  }
}

void CheckpointFolder::read() {
  if (!fs::exists(path())) return;
  std::ifstream file(path(), std::ios::binary);
  found_.assign(std::istreambuf_iterator<char>(file), {});
  decode(found_, path());
}

int64_t CheckpointFolder::write(const Checkpoint& checkpoint) {
  const std::string bytes = encode(checkpoint);
  const std::string partial = path() + ".partial";
  write_durably(partial, bytes);
  if (rename(partial.c_str(), path().c_str()) != 0) fail(path());
  sync_folder(folder_);
  return static_cast<int64_t>(bytes.size());
}

}  // namespace batch71::ddp
