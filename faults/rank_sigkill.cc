// rank_sigkill: a rank that is killed in the middle of a step.
#include "faults/fault.h"

namespace batch71::faults {

Fault rank_sigkill() {
  return {
      .name = "rank_sigkill",
      .family = Family::kRank,
      .target = Target::kStep,
      .says = "The rank is killed in the middle of its step.",
      .seam = "a signal",
      .how = "The rank gets SIGKILL in the forward of that batch.",
      .unguarded = "The neighbours fail with an error that names the wrong rank; the job dies.",
      .control = ControlEffect::kDies,
      .guard = "side_channel",
      .verdict = "rank_killed",
      .stages = {"forward"},
      .loses = Loss::kJobEnds,
      .bound = Deadline::kCollective,
      .needs = {.hooks = true},
      .inject = [](const Site& site) { return forward_does(site, UserDeed::kEndProcess); },
  };
}

}  // namespace batch71::faults
