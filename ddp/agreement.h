// What ranks must agree on before an epoch, and who is at odds: pure functions over gathered rows.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "loader/config.h"

namespace batch71::ddp {

// One rank's side. `row` and `from_row` are what travels.
struct EpochSide {
  int64_t batches = 0;
  int64_t samples = 0;
  int64_t epoch = 0;
  int64_t world_size = 0;
  int64_t config_digest = 0;
  int64_t parameter_digest = 0;
  int64_t manifest_digest = 0;  // 0 where every rank has a shard of its own

  std::vector<int64_t> row() const;
  static EpochSide from_row(const std::vector<int64_t>& row);
};

// "key=value ..." of one side, for the trace.
std::string to_text(const EpochSide& side);

// "" when all agree; else "kind=ranks_disagree rank=1 what=config_digest mine=.. others=.." naming the
// first rank that differs from the majority (of equals: from rank 0).
std::string disagreement(const std::vector<EpochSide>& sides);

// Batch counts alone: "" when even; else "kind=shards_uneven rank=1 batches=71 others=72".
std::string unevenness(const std::vector<EpochSide>& sides);

}  // namespace batch71::ddp
