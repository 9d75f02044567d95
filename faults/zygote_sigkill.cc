// zygote_sigkill: the process that forks a rank's workers is killed.
#include "faults/fault.h"

namespace batch71::faults {

Fault zygote_sigkill() {
  return {
      .name = "zygote_sigkill",
      .family = Family::kWorker,
      .target = Target::kRank,
      .says = "The process that forks a rank's workers is killed.",
      .seam = "a signal",
      .how =
          "A FUSE server of our own sends SIGKILL to the parent of the process that reads the "
          "file.",
      .unguarded = "The reader's parent is the rank itself: the job dies.",
      .control = ControlEffect::kDies,
      .guard = "zygote_watch",
      .verdict = "zygote_lost",
      .stages = {"none"},
      .loses = Loss::kJobEnds,
      .needs = {.fuse = true, .workers = true},
      .inject = [](const Site& site) { return serve_corpus(site, "read", "kill_parent"); },
  };
}

}  // namespace batch71::faults
