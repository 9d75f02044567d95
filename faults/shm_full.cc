// shm_full: the shared memory is full, as the 64 MB of a container soon are.
#include "faults/fault.h"

namespace batch71::faults {

Fault shm_full() {
  return {
      .name = "shm_full",
      .family = Family::kResources,
      .target = Target::kRank,
      .says = "The shared memory is full.",
      .seam = "/dev/shm, and the file system of the run folder",
      .how =
          "/dev/shm is a small tmpfs that is full; the run folder lies on a small one, with room "
          "for a "
          "fraction of its traces.",
      .unguarded = "The first queue of a worker in shared memory is a SIGBUS: the job dies.",
      .control = ControlEffect::kDies,
      .guard = "trace_space",
      .verdict = "tracing_reduced",
      .stages = {"setup"},
      .loses = Loss::kNothing,
      .needs = {.workers = true},
      .inject = [](const Site& site) { return leave_little_room(site); },
  };
}

}  // namespace batch71::faults
