// How ranks of the reference subject are started on generated clips, traced, with a config of their own.
#pragma once

#include <string>

#include "bench/clips.h"
#include "launch/ranks.h"

namespace batch71::bench {

struct ReferenceJob {
  int world_size = 1;
  int num_workers = 1;
  std::string guards;   // "key: value, key: value"
  std::string trainer;  // likewise
};

// Writes the config to `folder`, where traces and output (rank<r>.log) go too.
launch::RanksSpec reference_ranks(const std::string& folder, const Clips& clips,
                                  const ReferenceJob& job);

}  // namespace batch71::bench
