// Which samples a rank consumes in an epoch, batch by batch: the plan that everything follows.
//
// Index for index what PyTorch's DistributedSampler and BatchSampler give (same seed, epoch, world
// size, shuffle, drop_last). The order is the same for any number of workers.
// With buckets the same samples, put together otherwise: the sampler's order is sorted by bucket (within
// one it stays), cut into batches of all ranks together, and these are shuffled. So all ranks have
// batches of one bucket (or of neighbours) at the same step, and as many of them as without buckets.
// What does not fill a batch of all ranks comes last, as it is.
#pragma once

#include <cstdint>
#include <vector>

#include "loader/config.h"
#include "loader/dataset.h"

namespace batch71::loader {

struct BatchPlan {
  std::vector<int64_t> indices;
};

struct EpochPlan {
  int32_t epoch = 0;
  std::vector<BatchPlan> batches;
  size_t first_batch = 0;        // to begin with: an earlier attempt consumed those before it
  uint64_t digest = 0;           // over epoch and all indices
  int64_t samples_dropped = 0;   // by `truncate`
  int64_t batches_repeated = 0;  // by `extend`
};

struct SamplerSpec {
  int64_t dataset_size = 0;
  int rank = 0;
  int world_size = 1;
  bool sharded = false;  // the dataset is this rank's own shard: no dividing
  int batch_size = 8;
  bool shuffle = true;
  int64_t seed = 0;
  bool drop_last = false;
  std::vector<int> buckets{};  // of each sample; empty: none
};

SamplerSpec sampler_spec(const TrainDs& config, const Dataset& dataset, int rank, int world_size);

// torch.randperm(n, generator=torch.Generator().manual_seed(seed))
std::vector<int64_t> randperm(int64_t n, uint64_t seed);
// The bucket of each sample: samples by duration, about as many in each of `num_buckets`.
std::vector<int> buckets_of(const std::vector<double>& durations_s, int num_buckets);
// This rank's indices of one epoch: list(DistributedSampler(...)) after set_epoch(epoch).
std::vector<int64_t> sampler_indices(const SamplerSpec& spec, int32_t epoch);
EpochPlan make_plan(const SamplerSpec& spec, int32_t epoch);

// UsageError where nothing is left to train on. Of shards the ranks find that together.
void refuse_if_empty(const EpochPlan& plan, const SamplerSpec& spec);

// Uneven ranks: leave out batches beyond `num_batches`, or repeat this rank's own from the start.
void truncate(EpochPlan& plan, int64_t num_batches);
void extend(EpochPlan& plan, int64_t num_batches);

}  // namespace batch71::loader
