// batch_size_differs: one rank has another batch size.
#include "faults/fault.h"

namespace batch71::faults {

Fault batch_size_differs() {
  return {
      .name = "batch_size_differs",
      .family = Family::kShards,
      .target = Target::kShard,
      .says = "One rank has half the batch size of the rest.",
      .seam = "the config",
      .how = "The struck rank has a config of its own, with half the batch size.",
      .unguarded =
          "The others are done at half time and leave; the struck rank fails in the all-reduce.",
      .control = ControlEffect::kDies,
      .guard = "epoch_agreement",
      .verdict = "ranks_disagree",
      .stages = {"agree"},
      .loses = Loss::kJobEnds,
      .inject =
          [](const Site& site) {
            return give_own_settings(site, {{"batch_size", std::to_string(site.batch_size / 2)}});
          },
  };
}

}  // namespace batch71::faults
