// Small hashes for digests and derived randomness; not for adversaries.
#pragma once

#include <cstdint>
#include <string_view>

namespace batch71::loader {

// FNV-1a, 64 bits (http://www.isthe.com/chongo/tech/comp/fnv/).
class Digest {
 public:
  void add(std::string_view bytes) {
    for (const char byte : bytes) step(static_cast<unsigned char>(byte));
    step(0xffu);  // ends the field: "ab" + "c" is not "a" + "bc"
  }
  void add(uint64_t value) {
    for (int shift = 0; shift < 64; shift += 8) step((value >> shift) & 0xffu);
  }
  uint64_t value() const { return hash_; }

 private:
  void step(uint64_t byte) { hash_ = (hash_ ^ byte) * 0x100000001b3u; }
  uint64_t hash_ = 0xcbf29ce484222325u;
};

// SplitMix64's output function: well mixed bits of a counter.
inline uint64_t mix(uint64_t value) {
  value += 0x9e3779b97f4a7c15u;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
  return value ^ (value >> 31);
}

}  // namespace batch71::loader
