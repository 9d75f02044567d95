// Writes texts into the two text areas of a trace file.
#include "trace/text_ring.h"

#include <algorithm>
#include <cstring>

#include "trace/record_abi.h"

namespace batch71::trace {
namespace {

size_t padded(size_t length_bytes) {
  return (sizeof(TextHeader) + length_bytes + kTextAlign - 1) / kTextAlign * kTextAlign;
}

}  // namespace

uint32_t TextArea::append(std::string_view text, size_t reserve_bytes) {
  if (size_bytes_ == 0) return 0;
  // A quarter of the ring: one long text must not push out everything else.
  const size_t limit_bytes = std::min(kMaxTextBytes, size_bytes_ / 4);
  text = text.substr(0, limit_bytes);
  const size_t need_bytes = padded(text.size());

  const size_t offset = position_ % size_bytes_;
  if (wraps_) {
    if (offset + need_bytes > size_bytes_) position_ += size_bytes_ - offset;
  } else if (position_ + need_bytes + reserve_bytes > size_bytes_) {
    return 0;
  }
  auto stamp = static_cast<uint32_t>(position_ / kTextAlign + 1);
  if (stamp == 0) {  // 2^32 entries later: 0 means "no text"
    position_ += size_bytes_;
    stamp = static_cast<uint32_t>(position_ / kTextAlign + 1);
  }
  char* entry = data_ + position_ % size_bytes_;
  auto* header = reinterpret_cast<TextHeader*>(entry);
  __atomic_store_n(&header->stamp, 0u, __ATOMIC_RELAXED);
  __atomic_thread_fence(__ATOMIC_RELEASE);
  header->length_bytes = static_cast<uint32_t>(text.size());
  std::memcpy(entry + sizeof(TextHeader), text.data(), text.size());
  __atomic_store_n(&header->stamp, stamp, __ATOMIC_RELEASE);
  position_ += need_bytes;
  return stamp;
}

}  // namespace batch71::trace
