// eventfd(2), never blocking.
#include "loader/bell.h"

#include <sys/eventfd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>

namespace batch71::loader {

Bell::Bell() : fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (!fd_) throw std::runtime_error(std::string("eventfd: ") + std::strerror(errno));
}

// A full counter cannot be added to, but then it is ringing already.
void Bell::ring() const {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t wrote = write(fd_.get(), &one, sizeof one);
}

void Bell::silence() const {
  uint64_t count = 0;
  [[maybe_unused]] const ssize_t got = read(fd_.get(), &count, sizeof count);
}

}  // namespace batch71::loader
