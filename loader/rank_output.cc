// Writes whole lines to stderr, with little patience.
#include "loader/rank_output.h"

#include <poll.h>
#include <unistd.h>

#include <sstream>

namespace batch71::loader {

void print_lines(int rank, const char* label, const std::string& lines) {
  constexpr int kPatienceMs = 200;
  std::istringstream stream(lines);
  for (std::string line; std::getline(stream, line);) {
    const std::string text = "[rank " + std::to_string(rank) + "] " + label + ": " + line + "\n";
    pollfd err{STDERR_FILENO, POLLOUT, 0};
    if (poll(&err, 1, kPatienceMs) != 1) return;
    [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, text.data(), text.size());
  }
}

}  // namespace batch71::loader
