// lock_at_fork: a lock that a thread of the rank holds while workers are forked stays locked in them.
#include "faults/fault.h"

namespace batch71::faults {

Fault lock_at_fork() {
  return {
      .name = "lock_at_fork",
      .family = Family::kWorker,
      .target = Target::kItem,
      .says = "A thread of the rank holds a lock while workers are forked; they need it too.",
      .seam = "the user's model and featurizer",
      .how =
          "From the first step on, a thread that the model began holds a mutex; in the next epoch "
          "the featurizer takes it in a worker that was forked meanwhile. It strikes only where "
          "the thread holds it at that moment. A worker that a zygote without threads forked has "
          "the mutex as it was before: the guarded loader is spared by the way it is made.",
      .unguarded =
          "The worker waits for a thread that does not exist in it; the rank waits for its item "
          "for ever.",
      .control = ControlEffect::kHangs,
      .guard = "threads_before_fork",
      .verdict = "nothing_wrong",
      .stages = {},
      .loses = Loss::kNothing,
      .needs = {.workers = true, .epochs = 2, .fresh_workers = true, .hooks = true},
      .inject = [](const Site& site) { return featurizer_takes_held_lock(site); },
  };
}

}  // namespace batch71::faults
