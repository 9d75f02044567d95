// worker_sigkill: a worker that somebody kills while it reads, as the kernel does when memory is short.
#include "faults/fault.h"

namespace batch71::faults {

Fault worker_sigkill() {
  return {
      .name = "worker_sigkill",
      .family = Family::kWorker,
      .target = Target::kItem,
      .says = "The worker is killed in the middle of a read.",
      .seam = "a signal",
      .how = "A FUSE server of our own sends SIGKILL to the process that reads the file.",
      .unguarded = "The item is never finished; the rank waits for it for ever.",
      .control = ControlEffect::kHangs,
      .guard = "worker_replacement",
      .verdict = "worker_killed",
      .stages = {"audio_open", "audio_read"},
      .loses = Loss::kStruckItem,
      .needs = {.fuse = true, .workers = true},
      .inject = [](const Site& site) { return serve_corpus(site, "read", "kill_reader"); },
  };
}

}  // namespace batch71::faults
