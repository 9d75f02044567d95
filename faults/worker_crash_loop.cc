// worker_crash_loop: from one batch on, every worker process dies of the samples that it is given.
#include "faults/fault.h"

namespace batch71::faults {

Fault worker_crash_loop() {
  return {
      .name = "worker_crash_loop",
      .family = Family::kWorker,
      .target = Target::kRank,
      .says = "Every replacement of a worker dies at once.",
      .seam = "the user's featurizer",
      .how =
          "From the struck batch on, a featurizer ends its process (SIGKILL) at each sample that "
          "it "
          "is given, in every process anew.",
      .unguarded =
          "The workers die and their items are never finished; the rank waits for them for ever.",
      .control = ControlEffect::kHangs,
      .guard = "crash_loop",
      .verdict = "crash_loop",
      .stages = {"featurize"},
      .loses = Loss::kJobEnds,
      .strikes_on = true,
      .needs = {.workers = true, .hooks = true},
      .inject = [](const Site& site) { return featurizer_goes_on(site, UserDeed::kEndProcess); },
  };
}

}  // namespace batch71::faults
