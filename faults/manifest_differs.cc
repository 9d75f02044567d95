// manifest_differs: one rank has another version of the manifest.
#include "faults/fault.h"
#include "faults/manifest_entries.h"

namespace batch71::faults {

Fault manifest_differs() {
  return {
      .name = "manifest_differs",
      .family = Family::kShards,
      .target = Target::kShard,
      .says = "One rank has a manifest that lacks one line.",
      .seam = "the manifest",
      .how =
          "The struck rank has a manifest of its own, without that sample, as after a clean-up on "
          "one machine.",
      .unguarded =
          "It trains on: what follows that line has other indices on that rank, without a word.",
      .control = ControlEffect::kSilentlySpoils,
      .guard = "epoch_agreement",
      .verdict = "ranks_disagree",
      .stages = {"agree"},
      .loses = Loss::kJobEnds,
      .inject =
          [](const Site& site) {
            std::vector<nlohmann::json> entries = entries_of(site.manifest_path);
            std::erase_if(entries, [&site](const nlohmann::json& entry) {
              return entry.at("audio_filepath") == site.seen_file;
            });
            const std::string path = site.case_folder + "/own.json";
            write_entries(path, entries);
            return give_own_settings(site, {{"manifest_filepath", path}});
          },
  };
}

}  // namespace batch71::faults
