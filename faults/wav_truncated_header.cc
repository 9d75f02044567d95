// wav_truncated_header: the file ends within its header, as after a copy that was cut off.
#include <filesystem>

#include "faults/fault.h"

namespace batch71::faults {

Fault wav_truncated_header() {
  constexpr uintmax_t kWithinFmtChunk = 28;
  return {"wav_truncated_header",
          Family::kData,
          "The file ends within its header.",
          "The file is cut to 28 bytes, in the middle of the fmt chunk.",
          "The worker throws in the decoder; the rank waits for its item for ever.",
          "audio_unreadable",
          "audio_open",
          [](const std::string& file) { std::filesystem::resize_file(file, kWithinFmtChunk); }};
}

}  // namespace batch71::faults
