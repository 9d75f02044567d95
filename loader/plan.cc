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

// Who takes what of an order: rank r every ranks-th from the r-th on. A shard is all one rank's.
struct Dealer {
  explicit Dealer(const SamplerSpec& spec)
      : rank(spec.sharded ? 0 : static_cast<size_t>(spec.rank)),
        ranks(spec.sharded ? 1 : static_cast<size_t>(spec.world_size)) {}
  std::vector<int64_t> own(const std::vector<int64_t>& order) const {
    std::vector<int64_t> mine;
    for (size_t at = rank; at < order.size(); at += ranks) mine.push_back(order[at]);
    return mine;
  }
  size_t rank;
  size_t ranks;
};

// torch/utils/data/distributed.py: as many for each rank.
std::vector<int64_t> evened_out(const SamplerSpec& spec, int32_t epoch, const Dealer& dealer) {
  std::vector<int64_t> order = all_indices(spec, epoch);
  const size_t size = order.size();
  if (size < dealer.ranks && !spec.sharded) {
    throw UsageError("the manifest has " + std::to_string(size) + " samples for " +
                     std::to_string(dealer.ranks) + " ranks; start fewer ranks");
  }
  const size_t left = size % dealer.ranks;
  if (left != 0 && spec.drop_last) order.resize(size - left);
  // Past the end it starts again: the padding.
  for (size_t i = 0; left != 0 && !spec.drop_last && left + i < dealer.ranks; ++i) {
    order.push_back(order[i]);
  }
  return order;
}

void put_together_by_bucket(const SamplerSpec& spec, int32_t epoch, const Dealer& dealer,
                            std::vector<int64_t>& order) {
  const size_t of_all = static_cast<size_t>(spec.batch_size) * dealer.ranks;
  const size_t batches = order.size() / of_all;
  const auto full = order.begin() + static_cast<std::ptrdiff_t>(batches * of_all);
  std::stable_sort(order.begin(), full, [&](int64_t a, int64_t b) {
    return spec.buckets[static_cast<size_t>(a)] < spec.buckets[static_cast<size_t>(b)];
  });
  if (!spec.shuffle) return;
  const std::vector<int64_t> sorted = order;
  size_t at = 0;
  const uint64_t seed = mix(static_cast<uint64_t>(spec.seed + epoch));
  for (const int64_t batch : randperm(static_cast<int64_t>(batches), seed)) {
    const auto from = sorted.begin() + batch * static_cast<int64_t>(of_all);
    std::copy_n(from, of_all, order.begin() + static_cast<std::ptrdiff_t>(at));
    at += of_all;
  }
}

}  // namespace

SamplerSpec sampler_spec(const TrainDs& config, const Dataset& dataset, int rank, int world_size) {
  SamplerSpec sampler;
  sampler.dataset_size = dataset.size();
  sampler.rank = rank;
  sampler.world_size = world_size;
  sampler.sharded = config.manifest_filepath.find("{rank}") != std::string::npos;
  sampler.batch_size = config.batch_size;
  sampler.shuffle = config.shuffle;
  sampler.seed = config.seed;
  sampler.drop_last = config.drop_last;
  if (config.use_bucketing) {
    std::vector<double> durations_s;
    for (int64_t index = 0; index < dataset.size(); ++index) {
      durations_s.push_back(dataset.duration_s(index));
    }
    sampler.buckets = buckets_of(durations_s, config.num_buckets);
  }
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

std::vector<int> buckets_of(const std::vector<double>& durations_s, int num_buckets) {
  std::vector<size_t> by_duration(durations_s.size());
  std::iota(by_duration.begin(), by_duration.end(), size_t{0});
  std::stable_sort(by_duration.begin(), by_duration.end(),
                   [&](size_t a, size_t b) { return durations_s[a] < durations_s[b]; });
  std::vector<int> buckets(durations_s.size());
  for (size_t at = 0; at < by_duration.size(); ++at) {
    buckets[by_duration[at]] =
        static_cast<int>(at * static_cast<size_t>(num_buckets) / by_duration.size());
  }
  return buckets;
}

std::vector<int64_t> sampler_indices(const SamplerSpec& spec, int32_t epoch) {
  const Dealer dealer(spec);
  std::vector<int64_t> order = evened_out(spec, epoch, dealer);
  if (!spec.buckets.empty()) put_together_by_bucket(spec, epoch, dealer, order);
  return dealer.own(order);
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

void refuse_if_empty(const EpochPlan& plan, const SamplerSpec& spec) {
  if (!plan.batches.empty() || spec.sharded) return;
  throw UsageError("drop_last: the manifest's " + std::to_string(spec.dataset_size) +
                   " samples make no full batch of " + std::to_string(spec.batch_size) + " on " +
                   std::to_string(spec.world_size) +
                   " ranks; lower batch_size or set drop_last: false");
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
