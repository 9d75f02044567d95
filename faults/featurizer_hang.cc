// featurizer_hang: user code that loops for ever on one sample.
#include "faults/fault.h"

namespace batch71::faults {

Fault featurizer_hang() {
  return {
      .name = "featurizer_hang",
      .family = Family::kWorker,
      .target = Target::kItem,
      .says = "The featurizer does not come back from one sample.",
      .seam = "the user's featurizer",
      .how = "A featurizer spins for ever when it is given that sample.",
      .unguarded = "The worker loops, the rank waits for it, all others for the rank.",
      .control = ControlEffect::kHangs,
      .guard = "item_deadline_ms",
      .verdict = "featurizer_stuck",
      .stages = {"featurize"},
      .loses = Loss::kStruckItem,
      .bound = Deadline::kItem,
      .holds_its_process = true,
      .needs = {.hooks = true},
      .inject = [](const Site& site) { return featurizer_does(site, UserDeed::kSpin); },
  };
}

}  // namespace batch71::faults
