// worker_unkillable: a read that nothing ends, as on a dead NFS server.
#include "faults/fault.h"

namespace batch71::faults {

Fault worker_unkillable() {
  return {
      .name = "worker_unkillable",
      .family = Family::kIo,
      .target = Target::kItem,
      .says = "Reading the file blocks for ever, and SIGKILL does not help.",
      .seam = "the file system under the corpus",
      .how =
          "A FUSE server of our own holds the answer back whatever comes: the reader stays in "
          "state D.",
      .unguarded = "The worker cannot even be killed; the rank waits for it for ever.",
      .control = ControlEffect::kHangs,
      .guard = "deaf_worker",
      .verdict = "read_unkillable",
      .stages = {"audio_open", "audio_read"},
      .loses = Loss::kStruckItem,
      .bound = Deadline::kItem,
      .holds_its_process = true,
      .needs = {.fuse = true, .workers = true},
      .inject = [](const Site& site) { return serve_corpus(site, "read", "block_deaf"); },
  };
}

}  // namespace batch71::faults
