// wav_truncated_data: half of the audio is missing, the header still promises all of it.
#include <filesystem>

#include "faults/fault.h"

namespace batch71::faults {

Fault wav_truncated_data() {
  return {
      .name = "wav_truncated_data",
      .family = Family::kData,
      .target = Target::kItem,
      .says = "Half of the audio is missing; the header still declares all of it.",
      .seam = "the audio file",
      .how = "The file is cut in the middle of its data chunk.",
      .unguarded = "It trains on half a sentence, without a word.",
      .control = ControlEffect::kSilentlySpoils,
      .guard = "declared_duration",
      .verdict = "audio_truncated",
      .stages = {"audio_open", "audio_read"},
      .loses = Loss::kStruckItem,
      .is_lasting = true,
      .inject =
          [](const Site& site) {
            const uintmax_t data_bytes =
                std::filesystem::file_size(site.struck_copy) - kWavHeaderBytes;
            std::filesystem::resize_file(site.struck_copy, kWavHeaderBytes + data_bytes / 4 * 2);
            return watch_open(site, site.seen_file);
          },
  };
}

}  // namespace batch71::faults
