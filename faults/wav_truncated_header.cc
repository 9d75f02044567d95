// wav_truncated_header: the file ends within its header, as after a copy that was cut off.
#include <filesystem>

#include "faults/fault.h"

namespace batch71::faults {

Fault wav_truncated_header() {
  return {
      .name = "wav_truncated_header",
      .family = Family::kData,
      .target = Target::kItem,
      .says = "The file ends within its header.",
      .seam = "the audio file",
      .how = "The file is cut to 28 bytes, in the middle of the fmt chunk.",
      .unguarded =
          "The worker dies of the decoder's exception; the rank waits for its item for ever.",
      .control = ControlEffect::kHangs,
      .guard = "on_bad_item",
      .verdict = "audio_unreadable",
      .stages = {"audio_open", "audio_read"},
      .loses = Loss::kStruckItem,
      .is_lasting = true,
      .inject =
          [](const Site& site) {
            constexpr uintmax_t kWithinFmtChunk = 28;
            std::filesystem::resize_file(site.struck_copy, kWithinFmtChunk);
            return watch_open(site, site.seen_file);
          },
  };
}

}  // namespace batch71::faults
