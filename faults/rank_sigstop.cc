// rank_sigstop: a rank that is stopped in the middle of a step.
#include "faults/fault.h"

namespace batch71::faults {

Fault rank_sigstop() {
  return {
      .name = "rank_sigstop",
      .family = Family::kRank,
      .target = Target::kStep,
      .says = "The rank is stopped in the middle of its step.",
      .seam = "a signal",
      .how = "The rank gets SIGSTOP in the forward of that batch.",
      .unguarded = "The rank stands still, all others wait for it in the all-reduce.",
      .control = ControlEffect::kHangs,
      .guard = "collective_deadline_ms",
      .verdict = "rank_stopped",
      .stages = {"forward"},
      .loses = Loss::kJobEnds,
      .bound = Deadline::kCollective,
      .needs = {.peers = true, .hooks = true},
      .inject = [](const Site& site) { return forward_does(site, UserDeed::kStopProcess); },
  };
}

}  // namespace batch71::faults
