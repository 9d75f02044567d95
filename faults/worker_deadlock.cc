// worker_deadlock: two threads of a worker that wait for each other's lock.
#include "faults/fault.h"

namespace batch71::faults {

Fault worker_deadlock() {
  return {
      .name = "worker_deadlock",
      .family = Family::kWorker,
      .target = Target::kItem,
      .says = "Two threads of the worker wait for each other's lock.",
      .seam = "the user's featurizer",
      .how =
          "The featurizer takes two mutexes in one order, a thread of its own in the other, both "
          "at once.",
      .unguarded = "The worker sleeps for ever, the rank waits for it, all others for the rank.",
      .control = ControlEffect::kHangs,
      .guard = "item_deadline_ms",
      .verdict = "worker_deadlocked",
      .stages = {"featurize"},
      .loses = Loss::kStruckItem,
      .bound = Deadline::kItem,
      .holds_its_process = true,
      .needs = {.workers = true, .hooks = true},
      .inject = [](const Site& site) { return featurizer_does(site, UserDeed::kCrossLocks); },
  };
}

}  // namespace batch71::faults
