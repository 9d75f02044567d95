// Holds requests back and answers the interrupted ones with EINTR.
#include "faults/corpusfs/held_requests.h"

#include <cerrno>

namespace batch71::faults {

void HeldRequests::hold(fuse_req_t request) {
  const std::lock_guard arming(arming_);
  fuse_req_interrupt_func(request, &HeldRequests::on_interrupt, this);
}

void HeldRequests::on_interrupt(fuse_req_t request, void* self) {
  auto& held = *static_cast<HeldRequests*>(self);
  const std::lock_guard lock(held.mutex_);
  held.interrupted_.push_back(request);
  held.has_interrupted_.notify_one();
}

void HeldRequests::answer_interrupted() {
  while (true) {
    fuse_req_t request = nullptr;
    {
      std::unique_lock lock(mutex_);
      has_interrupted_.wait(lock, [&] { return !interrupted_.empty(); });
      request = interrupted_.front();
      interrupted_.pop_front();
    }
    const std::lock_guard arming(arming_);
    fuse_reply_err(request, EINTR);
  }
}

}  // namespace batch71::faults
