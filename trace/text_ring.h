// Writes texts into the two text areas of a trace file; see trace/record_abi.h for the entry.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace batch71::trace {

// One writer. `wraps`: old entries are overwritten; else a full area refuses.
class TextArea {
 public:
  TextArea() = default;
  TextArea(char* data, size_t size_bytes, bool wraps)
      : data_(data), size_bytes_(size_bytes), wraps_(wraps) {}

  // The stamp of the new entry; 0 if the area is full but for `reserve_bytes`. Longer texts are cut.
  uint32_t append(std::string_view text, size_t reserve_bytes = 0);

 private:
  char* data_ = nullptr;
  size_t size_bytes_ = 0;
  bool wraps_ = true;
  uint64_t position_ = 0;  // bytes written so far, always a multiple of kTextAlign
};

}  // namespace batch71::trace
