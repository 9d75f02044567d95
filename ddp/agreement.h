// What ranks must agree on before an epoch and before a step, and who is at odds: pure functions over
// the rows that the ranks exchange.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace batch71::ddp {

// One rank's side, as it travels.
using Row = std::vector<int64_t>;

// Before an epoch. In the order of telling: what explains most comes first.
struct EpochSide {
  int64_t world_size = 0;
  int64_t epoch = 0;
  int64_t seed = 0;
  int64_t config_digest = 0;     // train_ds: and guards:
  int64_t trainer_digest = 0;    // trainer:
  int64_t parameter_digest = 0;  // shapes of the model's parameters
  int64_t manifest_digest = 0;
  // These may differ from rank to rank:
  int64_t batches = 0;
  int64_t samples = 0;
  int64_t plan_digest = 0;
  // These must differ where both are known (not 0):
  int64_t shard_digest = 0;

  Row row() const;
  static EpochSide from_row(const Row& row);
};

// "key=value ..." of one side, for the trace.
std::string to_text(const EpochSide& side);
// "" when all agree; else "kind=ranks_disagree rank=1 ranks=1,3 what=config_digest mine=.. others=..":
// those that differ from the majority (of equals: from the lowest rank), the first of them as `rank`.
// Where the models differ and a rank has no samples: `unevenness`.
std::string disagreement(const std::vector<EpochSide>& sides);
// Shards that several ranks have: "" when there are none; else "kind=shards_identical rank=2 ranks=2,3",
// those that have what a lower rank has. Where all have the same, none of them is to blame: rank=-1.
std::string identical_shards(const std::vector<EpochSide>& sides);
// Batch counts alone: "" when even; else "kind=shards_uneven rank=1 ranks=1 batches=71 others=72
// samples=568". Of two counts that are equally frequent the larger one is the usual one.
std::string unevenness(const std::vector<EpochSide>& sides);
// One number for the plans of all ranks: the same on each of them.
uint64_t joint_plan_digest(const std::vector<EpochSide>& sides);

// Before a batch: summed over all ranks by one all-reduce.
struct StepSide {
  int64_t has_data = 0;  // 1: a batch is there
  int64_t valid = 0;     // samples that are no dummies
  int64_t dummies = 0;
  int64_t position = 0;  // step_position()

  // The squares tell ranks apart that are not at the same position: see is_together.
  Row row() const { return {has_data, valid, dummies, position, position * position}; }
};
// 20 bits out of the joint plan, which is of one epoch, and the batch, so that squares over all ranks fit
// into 64.
int64_t step_position(uint64_t joint_plan_digest, int64_t batch);
// True if every rank is at that position: `sum` is the sum of all rows. Sums and sums of squares both
// match only where all are equal.
bool is_together(const Row& sum, const StepSide& mine, int world_size);

// Who is not where most are, when `is_together` said no; rows of where_row(), gathered.
Row where_row(const StepSide& mine, int32_t epoch, int32_t batch);
std::string disagreement_of_steps(const std::vector<Row>& rows);

}  // namespace batch71::ddp
