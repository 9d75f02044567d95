// shard_short: pre-sharded data of which one rank has less.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "faults/fault.h"

namespace batch71::faults {
namespace {

// Entries of the manifest, with paths that hold from anywhere.
std::vector<nlohmann::json> entries_of(const std::string& manifest_path) {
  const std::filesystem::path folder = std::filesystem::path(manifest_path).parent_path();
  std::vector<nlohmann::json> entries;
  std::ifstream file(manifest_path);
  for (std::string line; std::getline(file, line);) {
    nlohmann::json& entry = entries.emplace_back(nlohmann::json::parse(line));
    entry["audio_filepath"] = folder / entry.at("audio_filepath").get<std::string>();
  }
  return entries;
}

// The manifest cut into one piece a rank, so that each has all labels; the struck rank's ends before
// its struck batch.
Injection shard(const Site& site) {
  const std::string prefix = site.case_folder + "/shard";
  const std::vector<nlohmann::json> entries = entries_of(site.manifest_path);
  const size_t of_each = entries.size() / static_cast<size_t>(site.world_size);
  const auto of_struck = static_cast<size_t>(site.where.batch * site.batch_size);
  for (int rank = 0; rank < site.world_size; ++rank) {
    const std::string path = prefix + std::to_string(rank) + ".json";
    std::ofstream piece(path);
    const size_t count = rank == site.where.rank ? std::min(of_struck, of_each) : of_each;
    const size_t begin = static_cast<size_t>(rank) * of_each;
    for (size_t i = begin; i < begin + count; ++i) piece << entries[i] << "\n";
    if (!piece.flush()) throw std::runtime_error(path + ": cannot be written");
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
      .is_lasting = true,
      .inject = shard,
  };
}

}  // namespace batch71::faults
