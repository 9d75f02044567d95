// An exponent of all ones is NaN or infinity (IEEE 754).
#include "loader/finite.h"

#include <cstdint>
#include <cstring>

namespace batch71::loader {

bool all_finite(const float* values, size_t count) {
  constexpr uint32_t kExponent = 0x7f80'0000u;
  constexpr size_t kBlock = 64;  // a known trip count lets the compiler vectorize
  size_t at = 0;
  for (; at + kBlock <= count; at += kBlock) {
    uint32_t bits[kBlock];
    std::memcpy(bits, values + at, sizeof bits);
    uint32_t bad = 0;
    for (size_t i = 0; i < kBlock; ++i) bad |= (bits[i] & kExponent) == kExponent ? 1u : 0u;
    if (bad != 0) return false;
  }
  for (; at < count; ++at) {
    uint32_t bits = 0;
    std::memcpy(&bits, values + at, sizeof bits);
    if ((bits & kExponent) == kExponent) return false;
  }
  return true;
}

}  // namespace batch71::loader
