// wav_empty: the file is there and holds nothing.
#include <filesystem>

#include "faults/fault.h"

namespace batch71::faults {

Fault wav_empty() {
  return {
      .name = "wav_empty",
      .family = Family::kData,
      .target = Target::kItem,
      .says = "The file is empty.",
      .seam = "the audio file",
      .how = "The file is cut to nothing.",
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
            std::filesystem::resize_file(site.struck_copy, 0);
            return watch_open(site, site.seen_file);
          },
  };
}

}  // namespace batch71::faults
