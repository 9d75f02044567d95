// Writes the config of a job.
#include "bench/reference_ranks.h"

#include <fstream>

namespace batch71::bench {

launch::RanksSpec reference_ranks(const std::string& folder, const Clips& clips,
                                  const ReferenceJob& job) {
  launch::RanksSpec spec;
  spec.argv = {launch::sibling_program("batch71-reference")};
  spec.world_size = job.world_size;
  spec.run_folder = folder;
  spec.output_folder = folder;
  spec.config_path = folder + "/config.yaml";
  spec.end_grace_ms = 0;
  spec.term_ms = 0;
  std::ofstream(spec.config_path) << "train_ds:\n"
                                  << "  manifest_filepath: " << clips.manifest() << "\n"
                                  << "  sample_rate: " << kSampleRateHz << "\n"
                                  << "  num_workers: " << job.num_workers << "\n"
                                  << "guards: {" << job.guards << "}\n"
                                  << "trainer: {" << job.trainer << "}\n";
  return spec;
}

}  // namespace batch71::bench
