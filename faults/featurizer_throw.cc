// featurizer_throw: user code that throws on one sample.
#include "faults/fault.h"

namespace batch71::faults {

Fault featurizer_throw() {
  return {
      .name = "featurizer_throw",
      .family = Family::kWorker,
      .target = Target::kItem,
      .says = "The featurizer throws at one sample.",
      .seam = "the user's featurizer",
      .how = "A featurizer throws std::runtime_error when it is given that sample.",
      .unguarded = "The worker dies of the exception; the rank waits for its item for ever.",
      .control = ControlEffect::kHangs,
      .guard = "exceptions",
      .verdict = "item_threw",
      .stages = {"featurize"},
      .loses = Loss::kStruckItem,
      .needs = {.hooks = true},
      .inject = [](const Site& site) { return featurizer_does(site, UserDeed::kThrow); },
  };
}

}  // namespace batch71::faults
