// file_missing: the manifest names a file that is not there.
#include "faults/fault.h"

namespace batch71::faults {

Fault file_missing() {
  return {
      .name = "file_missing",
      .family = Family::kData,
      .target = Target::kItem,
      .says = "The manifest names a file that is not there.",
      .seam = "the corpus folder",
      .how = "A FUSE server of our own says of the file that there is none.",
      .unguarded = "The worker dies of the exception; the rank waits for its item for ever.",
      .control = ControlEffect::kHangs,
      .guard = "on_bad_item",
      .verdict = "audio_missing",
      .stages = {"audio_open"},
      .loses = Loss::kStruckItem,
      .is_lasting = true,
      .needs = {.fuse = true},
      .inject = [](const Site& site) { return serve_corpus(site, "lookup", "deny"); },
  };
}

}  // namespace batch71::faults
