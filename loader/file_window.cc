// Opens and reads; see the header.
#include "loader/file_window.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "loader/dataset.h"

namespace batch71::loader {
namespace {
constexpr size_t kWindowBytes = 64 * 1024;
}

void FileWindow::open(const std::string& path) {
  fd_.reset(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd_) {
    const bool missing = errno == ENOENT || errno == ENOTDIR;
    throw ItemError(missing ? BadItem::kMissing : BadItem::kUnreadable, path, std::strerror(errno));
  }
  struct stat info {};
  if (fstat(fd_.get(), &info) != 0)
    throw ItemError(BadItem::kUnreadable, path, std::strerror(errno));
  if (!S_ISREG(info.st_mode) && !S_ISFIFO(info.st_mode)) {
    throw ItemError(BadItem::kUnreadable, path, "not a file");
  }
  size_bytes_ = info.st_size;
  position_ = 0;
  window_bytes_ = 0;
  error_ = 0;
  was_cut_ = false;
  window_.resize(kWindowBytes);
}

bool FileWindow::fill(int64_t offset) {
  if (offset != position_ && lseek(fd_.get(), offset, SEEK_SET) != offset) {
    error_ = errno;
    return false;
  }
  ssize_t got = 0;
  do {
    got = ::read(fd_.get(), window_.data(), window_.size());
  } while (got < 0 && errno == EINTR);
  if (got < 0) error_ = errno;
  if (got == 0 && offset < size_bytes_) was_cut_ = true;
  window_at_ = offset;
  window_bytes_ = std::max<int64_t>(got, 0);
  position_ = offset + window_bytes_;
  return got > 0;
}

int64_t FileWindow::read(int64_t offset, void* to, int64_t count) {
  int64_t done = 0;
  while (done < count) {
    const int64_t at = offset + done;
    const bool inside = at >= window_at_ && at < window_at_ + window_bytes_;
    if (!inside && !fill(at)) break;
    const int64_t part = std::min(count - done, window_at_ + window_bytes_ - at);
    std::memcpy(static_cast<char*>(to) + done, window_.data() + (at - window_at_),
                static_cast<size_t>(part));
    done += part;
  }
  return done;
}

}  // namespace batch71::loader
