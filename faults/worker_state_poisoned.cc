// worker_state_poisoned: what one epoch leaves in a worker spoils the next, as the original suspected.
#include "faults/fault.h"

namespace batch71::faults {

Fault worker_state_poisoned() {
  return {
      .name = "worker_state_poisoned",
      .family = Family::kWorker,
      .target = Target::kItem,
      .says = "State that one epoch leaves in a worker poisons the next.",
      .seam = "the user's featurizer",
      .how =
          "A featurizer keeps a table from the first epoch that its process sees; in a later epoch "
          "it throws at the samples of one batch. Workers of that epoch's own do not.",
      .unguarded = "The worker dies of the exception; the rank waits for its item for ever.",
      .control = ControlEffect::kHangs,
      .guard = "exceptions",
      .verdict = "state_left_behind",
      .stages = {"featurize"},
      .loses = Loss::kStruckBatch,
      .spares_fresh_workers = true,
      .needs = {.workers = true, .epochs = 2, .hooks = true},
      .inject = [](const Site& site) { return stale_featurizer_does(site, UserDeed::kThrow); },
  };
}

}  // namespace batch71::faults
