// loss_nan: a loss that is not a number on one rank.
#include "faults/fault.h"

namespace batch71::faults {

Fault loss_nan() {
  return {
      .name = "loss_nan",
      .family = Family::kStep,
      .target = Target::kStep,
      .says = "The loss of one rank is not a number.",
      .seam = "the user's model",
      .how = "The model gives NaN as the loss of that batch.",
      .unguarded = "It trains on, and all weights of all ranks become NaN.",
      .control = ControlEffect::kSilentlySpoils,
      .guard = "non_finite_loss",
      .verdict = "non_finite_loss",
      .stages = {"loss"},
      .loses = Loss::kJobEnds,
      .needs = {.hooks = true},
      .inject = [](const Site& site) { return loss_does(site, UserDeed::kSpoil); },
  };
}

}  // namespace batch71::faults
