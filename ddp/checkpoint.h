// A job's state at the boundary of a step, and what it looks like in a file.
//
// One line of JSON (the state, and size and CRC-32 of what follows), then weights and optimizer as libtorch
// writes them: `head -1` shows where a job stands. Why it is enough to go on: docs/decisions/0008.
#pragma once

#include <cstdint>
#include <string>

namespace batch71::ddp {

struct JobState {
  // What a job must have in common with the one that it goes on with:
  int64_t world_size = 0;
  int64_t seed = 0;
  uint64_t parameter_digest = 0;  // shapes of the model's parameters
  uint64_t manifest_digest = 0;
  uint64_t plan_digest = 0;  // of all ranks' plans of `epoch`
  // How far it came. Consumed is what an optimizer step was taken on, not what was fetched.
  int32_t epoch = 0;
  int32_t batches = 0;  // of each rank that had them, in this epoch
  int64_t samples = 0;  // over all ranks, in this epoch; dummies too
  int64_t steps = 0;    // of the optimizer, over all epochs
  int64_t dummies = 0;  // over all ranks and epochs
  double loss = 0;      // of the last step, over all ranks

  bool operator==(const JobState&) const = default;
};

// "epoch 0, batch 72: 2304 samples consumed over all ranks, 72 steps taken"
std::string to_text(const JobState& state);
// "" if `job` may go on where `saved` is; else what it must be, in one line.
std::string why_refused(const JobState& saved, const JobState& job);

struct Checkpoint {
  JobState state;
  std::string weights;
};
std::string encode(const Checkpoint& checkpoint);
// UsageError, with `path`, where the bytes are no whole checkpoint.
Checkpoint decode(const std::string& bytes, const std::string& path);

}  // namespace batch71::ddp
