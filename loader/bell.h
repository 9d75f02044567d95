// Wakes a thread that polls: an eventfd that any thread, and any forked process, may ring.
#pragma once

#include "loader/unique_fd.h"

namespace batch71::loader {

class Bell {
 public:
  Bell();
  void ring() const;
  void silence() const;
  int fd() const { return fd_.get(); }

 private:
  UniqueFd fd_;
};

}  // namespace batch71::loader
