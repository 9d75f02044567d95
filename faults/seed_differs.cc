// seed_differs: one rank shuffles by another seed.
#include "faults/fault.h"

namespace batch71::faults {

Fault seed_differs() {
  return {
      .name = "seed_differs",
      .family = Family::kShards,
      .target = Target::kShard,
      .says = "One rank shuffles by another seed than the rest.",
      .seam = "the config",
      .how = "The struck rank has a config of its own, with another seed.",
      .unguarded =
          "It trains on: some samples come twice in an epoch, others never, without a word.",
      .control = ControlEffect::kSilentlySpoils,
      .guard = "epoch_agreement",
      .verdict = "ranks_disagree",
      .stages = {"agree"},
      .loses = Loss::kJobEnds,
      .inject =
          [](const Site& site) {
            return give_own_settings(site, {{"seed", "72"}});
          },
  };
}

}  // namespace batch71::faults
