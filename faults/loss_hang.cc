// loss_hang: a loss that does not come back on one rank.
#include "faults/fault.h"

namespace batch71::faults {

Fault loss_hang() {
  return {
      .name = "loss_hang",
      .family = Family::kStep,
      .target = Target::kStep,
      .says = "The loss does not come back on one rank.",
      .seam = "the user's model",
      .how = "The model waits for ever in the loss of that batch.",
      .unguarded = "The rank stands still, all others wait for it in the all-reduce.",
      .control = ControlEffect::kHangs,
      .guard = "step_deadline_ms",
      .verdict = "loss_stuck",
      .stages = {"loss"},
      .loses = Loss::kJobEnds,
      .bound = Deadline::kStep,
      .needs = {.hooks = true},
      .inject = [](const Site& site) { return loss_does(site, UserDeed::kWaitForEver); },
  };
}

}  // namespace batch71::faults
