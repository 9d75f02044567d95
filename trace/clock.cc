// Chooses the trace clock and measures its rate.
#include "trace/clock.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace batch71::trace {
namespace {

bool has_invariant_tsc() {
#if defined(__x86_64__)
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  // Intel SDM, CPUID leaf 8000'0007H: EDX bit 8 is "Invariant TSC".
  return __get_cpuid(0x8000'0007u, &eax, &ebx, &ecx, &edx) != 0 && (edx & (1u << 8)) != 0;
#else
  return false;
#endif
}

uint64_t measure_ticks_per_second(ClockKind kind) {
  constexpr uint64_t kNsPerSecond = 1'000'000'000;
  if (kind == ClockKind::kMonotonic) return kNsPerSecond;
  constexpr uint64_t kSpanNs = 1'000'000;
  const uint64_t start_ns = monotonic_ns();
  const uint64_t start_ticks = ticks(kind);
  uint64_t now_ns = start_ns;
  while (now_ns - start_ns < kSpanNs) now_ns = monotonic_ns();
  const uint64_t span_ticks = ticks(kind) - start_ticks;
  return static_cast<uint64_t>(static_cast<double>(span_ticks) * 1e9 /
                               static_cast<double>(now_ns - start_ns));
}

}  // namespace

ClockKind clock_kind() {
  static const ClockKind kind = has_invariant_tsc() ? ClockKind::kTsc : ClockKind::kMonotonic;
  return kind;
}

uint64_t ticks_per_second() {
  static const uint64_t rate = measure_ticks_per_second(clock_kind());
  return rate;
}

}  // namespace batch71::trace
