// Reads a pipe without waiting and prints whole lines.
#include "launch/line_prefixer.h"

#include <fcntl.h>

#include <array>
#include <cstdio>
#include <stdexcept>

namespace batch71::launch {

LinePrefixer::LinePrefixer(std::string prefix, UniqueFd& output) : prefix_(std::move(prefix)) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("no pipe to be had");
  pipe_ = UniqueFd(ends[0]);
  output = UniqueFd(ends[1]);
  // Ours only: the process writes to a pipe that blocks, as it expects.
  fcntl(pipe_.get(), F_SETFL, O_NONBLOCK);
}

void LinePrefixer::forward() {
  std::array<char, 4096> buffer;
  while (pipe_) {
    const ssize_t length = read(pipe_.get(), buffer.data(), buffer.size());
    if (length < 0) break;
    if (length == 0) pipe_.reset();
    pending_.append(buffer.data(), static_cast<size_t>(length));
  }
  print_lines(!pipe_);
}

// A rank that says by itself who it is needs no second prefix.
void LinePrefixer::print_line(std::string_view line) const {
  const std::string_view prefix = line.starts_with(prefix_) ? std::string_view() : prefix_;
  std::printf("%.*s%.*s\n", static_cast<int>(prefix.size()), prefix.data(),
              static_cast<int>(line.size()), line.data());
}

void LinePrefixer::print_lines(bool also_unfinished) {
  size_t begin = 0;
  for (size_t end; (end = pending_.find('\n', begin)) != std::string::npos; begin = end + 1) {
    print_line(std::string_view(pending_).substr(begin, end - begin));
  }
  pending_.erase(0, begin);
  if (also_unfinished && !pending_.empty()) {
    print_line(pending_);
    pending_.clear();
  }
  std::fflush(stdout);
}

}  // namespace batch71::launch
