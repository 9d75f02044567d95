// shm_mutex_owner_killed: a worker that is killed while it holds a mutex that it shares with others.
#include "faults/fault.h"
#include "launch/process.h"

namespace batch71::faults {
namespace {

Injection inject(const Site& site) {
  Injection injection = featurizer_does(site, UserDeed::kEndProcess);
  injection.env["LD_PRELOAD"] = launch::sibling_program("libuser_locks.so");
  return injection;
}

}  // namespace

Fault shm_mutex_owner_killed() {
  return {
      .name = "shm_mutex_owner_killed",
      .family = Family::kWorker,
      .target = Target::kItem,
      .says = "The worker is killed while it holds the mutex of a queue in shared memory.",
      .seam = "a preloaded library and the user's featurizer",
      .how =
          "From that sample on, the first unlock of a process-shared mutex for which another "
          "process waits in the kernel ends the worker by SIGKILL instead: the mutex is its own "
          "for ever. Where a loader makes no such mutex, none can be held, and the worker is "
          "killed in its featurizer, before it hands over that sample.",
      .unguarded =
          "All that use the queue wait in the kernel for the mutex of a dead process, though "
          "finished items lie in it.",
      .control = ControlEffect::kHangs,
      // With the mutex in its hand and another process waiting for it.
      .control_op = "unlock",
      .guard = "worker_replacement",
      .verdict = "worker_killed",
      .stages = {"featurize"},
      .loses = Loss::kStruckItem,
      .needs = {.workers = true, .hooks = true},
      .inject = inject,
  };
}

}  // namespace batch71::faults
