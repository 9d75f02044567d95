// The trace clock: the TSC where it is invariant, else CLOCK_MONOTONIC; and plain monotonic time.
#pragma once

#include <ctime>

#include <cstdint>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

#include "trace/record_abi.h"

namespace batch71::trace {

inline uint64_t clock_ns(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(now.tv_nsec);
}
inline uint64_t monotonic_ns() { return clock_ns(CLOCK_MONOTONIC); }

// Which clock this machine's traces use. Decided once per process; forked children inherit it.
ClockKind clock_kind();
// Ticks per second of that clock, measured over a millisecond once per process (error below 0.5 %).
uint64_t ticks_per_second();

inline uint64_t ticks(ClockKind kind) {
#if defined(__x86_64__)
  if (kind == ClockKind::kTsc) return __rdtsc();
#endif
  (void)kind;
  return monotonic_ns();
}

}  // namespace batch71::trace
