// Requests that are not answered until the reader is interrupted.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>

#define FUSE_USE_VERSION 35
#include <fuse_lowlevel.h>

namespace batch71::faults {

// libfuse tells of an interrupt while it holds the request's own lock, so the answer has to come from
// another thread: `answer_interrupted` is its body.
class HeldRequests {
 public:
  void hold(fuse_req_t request);
  [[noreturn]] void answer_interrupted();

 private:
  static void on_interrupt(fuse_req_t request, void* self);

  std::mutex arming_;  // held while libfuse still uses a request that may be interrupted already
  std::mutex mutex_;
  std::condition_variable has_interrupted_;
  std::deque<fuse_req_t> interrupted_;
};

}  // namespace batch71::faults
