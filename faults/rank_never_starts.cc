// rank_never_starts: a rank whose program is never run.
#include <string>

#include "faults/fault.h"

namespace batch71::faults {

Fault rank_never_starts() {
  return {
      .name = "rank_never_starts",
      .family = Family::kRank,
      .target = Target::kStart,
      .says = "One rank of the job never starts.",
      .seam = "the launcher",
      .how =
          "The script that starts the ranks waits for ever instead of running that one's program.",
      .unguarded = "All others wait for it in the rendezvous.",
      .control = ControlEffect::kHangs,
      .guard = "startup_deadline_ms",
      .verdict = "rank_missing",
      .stages = {"setup"},
      .loses = Loss::kJobEnds,
      .bound = Deadline::kStartup,
      .needs = {.peers = true},
      .inject =
          [](const Site& site) {
            return start_by_script(site, "[ \"$RANK\" = " + std::to_string(site.where.rank) +
                                             " ] || exec \"$@\"\n"
                                             ": < \"$STRUCK\"\n"
                                             "exec sleep infinity\n");
          },
  };
}

}  // namespace batch71::faults
