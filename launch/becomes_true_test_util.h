// For tests that await what has no event for them.
#pragma once

#include <poll.h>

#include <cstdint>

#include "launch/process.h"

namespace batch71::launch {

// True once `holds` does, in time; looks again and again.
template <typename Condition>
bool becomes_true(int deadline_ms, Condition holds) {
  const uint64_t deadline_ns = deadline_after_ms(deadline_ms);
  while (!holds()) {
    if (ms_until(deadline_ns) == 0) return false;
    poll(nullptr, 0, 10);
  }
  return true;
}

}  // namespace batch71::launch
