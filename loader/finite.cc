// Without their sign, floats are ordered as their bits are; infinity and NaN come last (IEEE 754).
#include "loader/finite.h"

#include <bit>
#include <cstdint>
#include <cstring>
#include <limits>

namespace batch71::loader {

bool all_within(float limit, const float* values, size_t count) {
  constexpr uint32_t kWithoutSign = 0x7fff'ffffu;
  constexpr size_t kBlock = 64;  // a known trip count lets the compiler vectorize
  const auto most = std::bit_cast<uint32_t>(limit);
  size_t at = 0;
  for (; at + kBlock <= count; at += kBlock) {
    uint32_t bits[kBlock];
    std::memcpy(bits, values + at, sizeof bits);
    uint32_t bad = 0;
    for (size_t i = 0; i < kBlock; ++i) bad |= (bits[i] & kWithoutSign) > most ? 1u : 0u;
    if (bad != 0) return false;
  }
  for (; at < count; ++at) {
    uint32_t bits = 0;
    std::memcpy(&bits, values + at, sizeof bits);
    if ((bits & kWithoutSign) > most) return false;
  }
  return true;
}

bool all_finite(const float* values, size_t count) {
  return all_within(std::numeric_limits<float>::max(), values, count);
}

}  // namespace batch71::loader
