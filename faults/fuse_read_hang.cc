// fuse_read_hang: a read that the server never answers, and that a signal ends.
#include "faults/fault.h"

namespace batch71::faults {

Fault fuse_read_hang() {
  return {
      .name = "fuse_read_hang",
      .family = Family::kIo,
      .target = Target::kItem,
      .says = "Reading the file blocks until the reader is killed.",
      .seam = "the file system under the corpus",
      .how = "A FUSE server of our own holds the answer back and obeys interrupts.",
      .unguarded =
          "The worker waits in the kernel, the rank for the worker, all others for the rank.",
      .control = ControlEffect::kHangs,
      .guard = "item_deadline_ms",
      .verdict = "read_blocked",
      .stages = {"audio_open", "audio_read"},
      .loses = Loss::kStruckItem,
      .bound = Deadline::kItem,
      .holds_its_process = true,
      .needs = {.fuse = true},
      .inject = [](const Site& site) { return serve_corpus(site, "read", "block"); },
  };
}

}  // namespace batch71::faults
