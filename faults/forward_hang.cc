// forward_hang: a forward that does not come back on one rank.
#include "faults/fault.h"

namespace batch71::faults {

Fault forward_hang() {
  return {
      .name = "forward_hang",
      .family = Family::kStep,
      .target = Target::kStep,
      .says = "The model's forward does not come back on one rank.",
      .seam = "the user's model",
      .how = "The model waits for ever in the forward of that batch.",
      .unguarded = "The rank stands still, all others wait for it in the all-reduce.",
      .control = ControlEffect::kHangs,
      .guard = "step_deadline_ms",
      .verdict = "forward_stuck",
      .stages = {"forward"},
      .loses = Loss::kJobEnds,
      .bound = Deadline::kStep,
      .needs = {.hooks = true},
      .inject = [](const Site& site) { return forward_does(site, UserDeed::kWaitForEver); },
  };
}

}  // namespace batch71::faults
