// Samplers: PyTorch's, index for index.
#include "loader/plan.h"

#include <algorithm>
#include <numeric>
#include <random>

#include "loader/hash.h"
#include "trace/errors.h"

namespace batch71::loader {
namespace {

void set_digest(EpochPlan& plan) {
  Digest digest;
  digest.add(static_cast<uint64_t>(plan.epoch));
  for (const BatchPlan& batch : plan.batches) {
    digest.add(batch.indices.size());
    for (const int64_t index : batch.indices) digest.add(static_cast<uint64_t>(index));
  }
  plan.digest = digest.value();
}

// A sampler over the whole data: RandomSampler with the generator of DistributedSampler, or in order.
std::vector<int64_t> all_indices(const SamplerSpec& spec, int32_t epoch) {
  if (spec.shuffle) return randperm(spec.dataset_size, static_cast<uint64_t>(spec.seed + epoch));
  std::vector<int64_t> order(static_cast<size_t>(spec.dataset_size));
  std::iota(order.begin(), order.end(), 0);
  return order;
}

}  // namespace

SamplerSpec sampler_spec(const TrainDs& config, int64_t dataset_size, int rank, int world_size) {
  SamplerSpec sampler;
  sampler.dataset_size = dataset_size;
  sampler.rank = rank;
  sampler.world_size = world_size;
  sampler.sharded = config.manifest_filepath.find("{rank}") != std::string::npos;
  sampler.batch_size = config.batch_size;
  sampler.shuffle = config.shuffle;
  sampler.seed = config.seed;
  sampler.drop_last = config.drop_last;
  return sampler;
}

// ATen/native/TensorFactories.cpp, randperm_cpu: Fisher-Yates with 32 bits of mt19937 a step.
std::vector<int64_t> randperm(int64_t n, uint64_t seed) {
  std::mt19937 generator(static_cast<uint32_t>(seed));
  std::vector<int64_t> order(static_cast<size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  for (int64_t i = 0; i < n - 1; ++i) {
    const int64_t step = static_cast<int64_t>(generator()) % (n - i);
    std::swap(order[static_cast<size_t>(i)], order[static_cast<size_t>(i + step)]);
  }
  return order;
}

// torch/utils/data/distributed.py.
std::vector<int64_t> sampler_indices(const SamplerSpec& spec, int32_t epoch) {
  std::vector<int64_t> order = all_indices(spec, epoch);
  if (spec.sharded || spec.world_size == 1) return order;
  const int64_t size = spec.dataset_size;
  const int64_t ranks = spec.world_size;
  if (size < ranks) {
    throw UsageError("the manifest has " + std::to_string(size) + " samples for " +
                     std::to_string(ranks) + " ranks; start fewer ranks");
  }
  const int64_t per_rank = spec.drop_last ? size / ranks : (size + ranks - 1) / ranks;
  std::vector<int64_t> own;
  own.reserve(static_cast<size_t>(per_rank));
  for (int64_t i = 0; i < per_rank; ++i) {
    // Past the end it starts again: the padding.
    own.push_back(order[static_cast<size_t>((spec.rank + i * ranks) % size)]);
  }
  return own;
}

EpochPlan make_plan(const SamplerSpec& spec, int32_t epoch) {
  const std::vector<int64_t> indices = sampler_indices(spec, epoch);
  EpochPlan plan;
  plan.epoch = epoch;
  const auto size = static_cast<size_t>(spec.batch_size);
  for (size_t begin = 0; begin < indices.size(); begin += size) {
    const size_t end = std::min(begin + size, indices.size());
    if (spec.drop_last && end - begin < size) break;
    plan.batches.push_back({{indices.begin() + static_cast<std::ptrdiff_t>(begin),
                             indices.begin() + static_cast<std::ptrdiff_t>(end)}});
  }
  set_digest(plan);
  return plan;
}

void truncate(EpochPlan& plan, int64_t num_batches) {
  while (static_cast<int64_t>(plan.batches.size()) > num_batches) {
    plan.samples_dropped += static_cast<int64_t>(plan.batches.back().indices.size());
    plan.batches.pop_back();
  }
  set_digest(plan);
}

void extend(EpochPlan& plan, int64_t num_batches) {
  const size_t own = plan.batches.size();
  while (own > 0 && static_cast<int64_t>(plan.batches.size()) < num_batches) {
    plan.batches.push_back(plan.batches[plan.batches.size() - own]);
    ++plan.batches_repeated;
  }
  set_digest(plan);
}

}  // namespace batch71::loader
