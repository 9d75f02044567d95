// shard_short: pre-sharded data of which one rank has less.
#include <algorithm>
#include <string>
#include <vector>

#include "faults/fault.h"
#include "faults/manifest_entries.h"

namespace batch71::faults {
namespace {

// The manifest cut into one piece a rank, so that each has all labels; the struck rank's ends before
// its struck batch.
Injection shard(const Site& site) {
  const std::string prefix = site.case_folder + "/shard";
  const std::vector<nlohmann::json> entries = entries_of(site.manifest_path);
  const int64_t of_each = static_cast<int64_t>(entries.size()) / site.world_size;
  const int64_t of_struck = std::min(site.where.batch * site.batch_size, of_each);
  for (int rank = 0; rank < site.world_size; ++rank) {
    const auto begin = entries.begin() + rank * of_each;
    write_entries(prefix + std::to_string(rank) + ".json",
                  {begin, begin + (rank == site.where.rank ? of_struck : of_each)});
  }
  Injection injection = watch_open(site, prefix + std::to_string(site.where.rank) + ".json");
  injection.manifest_filepath = prefix + "{rank}.json";
  return injection;
}

}  // namespace

Fault shard_short() {
  return {
      .name = "shard_short",
      .family = Family::kShards,
      .target = Target::kShard,
      .says = "One rank has fewer batches than the others.",
      .seam = "the manifest",
      .how = "Every rank has a manifest of its own; the struck rank's ends before that batch.",
      .unguarded = "The short rank is done and leaves; the others fail in the all-reduce.",
      .control = ControlEffect::kDies,
      .guard = "uneven",
      .verdict = "shards_uneven",
      .stages = {"agree"},
      .loses = Loss::kJobEnds,
      .is_lasting = true,
      .inject = shard,
  };
}

}  // namespace batch71::faults
