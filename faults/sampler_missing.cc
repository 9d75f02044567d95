// sampler_missing: every rank reads everything, since nothing deals it out.
#include <string>
#include <vector>

#include "faults/fault.h"
#include "faults/manifest_entries.h"

namespace batch71::faults {
namespace {

// As one does who gives every rank a manifest and forgets to cut it.
Injection give_all_to_each(const Site& site) {
  const std::string prefix = site.case_folder + "/shard";
  const std::vector<nlohmann::json> entries = entries_of(site.manifest_path);
  for (int rank = 0; rank < site.world_size; ++rank) {
    write_entries(prefix + std::to_string(rank) + ".json", entries);
  }
  Injection injection = watch_open(site, prefix + std::to_string(site.where.rank) + ".json");
  injection.manifest_filepath = prefix + "{rank}.json";
  return injection;
}

}  // namespace

Fault sampler_missing() {
  return {
      .name = "sampler_missing",
      .family = Family::kShards,
      .target = Target::kShard,
      .says = "Every rank reads everything.",
      .seam = "the manifest",
      .how = "Every rank has a manifest of its own, and each of them is the whole one.",
      .unguarded = "It trains on: every sample comes once a rank in an epoch, without a word.",
      .control = ControlEffect::kSilentlySpoils,
      .guard = "epoch_agreement",
      .verdict = "shards_identical",
      .stages = {"agree"},
      .loses = Loss::kJobEnds,
      .is_lasting = true,
      .strikes_all = true,
      .inject = give_all_to_each,
  };
}

}  // namespace batch71::faults
