// A file read through one 64 KiB window: few system calls, and every short read is remembered.
//
// For: one audio file at a time; keep the object, its buffer is reused. Pipes work as far as they are
// read in order. Blocks as the file system blocks: the item's deadline is held by others.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "loader/unique_fd.h"

namespace batch71::loader {

class FileWindow {
 public:
  // Throws ItemError: kMissing if there is no such file, kUnreadable for what is no file.
  void open(const std::string& path);
  void close() { fd_.reset(); }

  int64_t size_bytes() const { return size_bytes_; }
  // Reads up to `count` bytes at `offset`; fewer at the end of the file or after an error.
  int64_t read(int64_t offset, void* to, int64_t count);
  // errno of a failed read, 0 for none.
  int error() const { return error_; }
  // True if the file ended before the size that it had when it was opened.
  bool was_cut() const { return was_cut_; }

 private:
  bool fill(int64_t offset);

  UniqueFd fd_;
  int64_t size_bytes_ = 0;
  int64_t position_ = 0;  // of the descriptor
  int64_t window_at_ = 0;
  int64_t window_bytes_ = 0;
  std::vector<char> window_;
  int error_ = 0;
  bool was_cut_ = false;
};

}  // namespace batch71::loader
