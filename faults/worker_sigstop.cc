// worker_sigstop: a worker that somebody stops while it reads.
#include "faults/fault.h"

namespace batch71::faults {

Fault worker_sigstop() {
  return {
      .name = "worker_sigstop",
      .family = Family::kWorker,
      .target = Target::kItem,
      .says = "The worker is stopped in the middle of a read.",
      .seam = "a signal",
      .how = "A FUSE server of our own sends SIGSTOP to the process that reads the file.",
      .unguarded =
          "The worker stands still, the rank waits for it for ever; no timeout of the worker's "
          "fires.",
      .control = ControlEffect::kHangs,
      .guard = "item_deadline_ms",
      .verdict = "worker_stopped",
      .stages = {"audio_open", "audio_read"},
      .loses = Loss::kStruckItem,
      .bound = Deadline::kItem,
      .holds_its_process = true,
      .needs = {.fuse = true, .workers = true},
      .inject = [](const Site& site) { return serve_corpus(site, "read", "stop_reader"); },
  };
}

}  // namespace batch71::faults
