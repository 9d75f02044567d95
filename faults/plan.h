// Fault plans as text: which fault strikes where, the same on a command line and in a test's name.
//
//   plan   = fault [ "@" key "=" number { "," key "=" number } ]
//   key    = rank | worker | epoch | batch | index
//
// `worker_sigkill@rank=1,batch=71`. Batches count from 0 in each epoch. Of batch and index one suffices:
// a batch means its first sample, an index the batch that it is in. Without either: batch 71, or the
// middle of a shorter epoch. Without a rank: rank 1, or 0 where it is alone. Without an epoch: the first
// one in which the fault can strike.
// What is not known or cannot be is refused in one line (UsageError), before anything is started.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "faults/fault.h"

namespace batch71::faults {

struct FaultPlan {
  const Fault* fault = nullptr;
  std::optional<int64_t> rank;
  std::optional<int64_t> worker;
  std::optional<int64_t> epoch;
  std::optional<int64_t> batch;
  std::optional<int64_t> index;
};

FaultPlan parse_plan(const std::string& text);
std::string to_text(const FaultPlan& plan);
// "rank=1,batch=71,index=2274"
std::string to_text(const Where& where);

// As much of it as the fault has: no sample where a step is struck, only the rank where its shard or its
// start is, nobody where all are.
std::string to_text(const Fault& fault, const Where& where);

// What a plan must know of the job.
struct JobShape {
  int world_size = 1;
  int num_workers = 0;
  int64_t num_batches = 0;  // of each rank, in each epoch; the most of them where ranks differ
  std::function<std::vector<int64_t>(int rank, int32_t epoch, int64_t batch)> indices_of;
  int num_epochs = 1;
  bool persistent_workers = true;
  bool has_noise = false;   // mixed into its samples
  bool is_sharded = false;  // each rank has a manifest of its own, some have fewer batches
};

// The one place that the plan means.
Where resolve(const FaultPlan& plan, const JobShape& job);

// Why the job lacks what the fault strikes; "" if it does not.
std::string why_not_applicable(const Fault& fault, const JobShape& job);
// True if the job has the remedy already: nothing strikes.
bool is_spared(const Fault& fault, const JobShape& job);

}  // namespace batch71::faults
