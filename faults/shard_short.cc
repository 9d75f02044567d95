// shard_short: pre-sharded data of which one rank has less.
#include <fstream>
#include <stdexcept>

#include "faults/fault.h"

namespace batch71::faults {
namespace {

// Manifest lines dealt out in turn, one file a rank; the struck rank's ends before its struck batch.
Injection shard(const Site& site) {
  const std::string prefix = site.corpus_folder + "/shard";
  std::vector<std::ofstream> shards;
  for (int rank = 0; rank < site.world_size; ++rank) {
    shards.emplace_back(prefix + std::to_string(rank) + ".json");
  }
  const int64_t most_of_struck = site.where.batch * site.batch_size;
  std::ifstream manifest(site.manifest_path);
  int64_t line_number = 0;
  for (std::string line; std::getline(manifest, line); ++line_number) {
    const auto rank = static_cast<int>(line_number % site.world_size);
    if (rank == site.where.rank && line_number / site.world_size >= most_of_struck) continue;
    shards[static_cast<size_t>(rank)] << line << "\n";
  }
  for (std::ofstream& file : shards) {
    if (!file.flush()) throw std::runtime_error(prefix + "*.json: cannot be written");
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
      .verdict = "shards_uneven",
      .stages = {"agree"},
      .loses = Loss::kJobEnds,
      .inject = shard,
  };
}

}  // namespace batch71::faults
