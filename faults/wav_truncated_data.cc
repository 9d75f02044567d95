// wav_truncated_data: half of the audio is missing, the header still promises all of it.
#include <filesystem>

#include "faults/fault.h"

namespace batch71::faults {

Fault wav_truncated_data() {
  constexpr uintmax_t kHeaderBytes = 44;
  return {"wav_truncated_data",
          Family::kData,
          "Half of the audio is missing; the header still declares all of it.",
          "The file is cut in the middle of its data chunk.",
          "It trains on half a sentence, without a word.",
          "audio_truncated",
          "audio_open",
          [](const std::string& file) {
            const uintmax_t size = std::filesystem::file_size(file);
            std::filesystem::resize_file(file, kHeaderBytes + (size - kHeaderBytes) / 4 * 2);
          }};
}

}  // namespace batch71::faults
