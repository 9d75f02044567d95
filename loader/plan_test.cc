// Plans: index for index PyTorch's, in every epoch; cut and extended for uneven ranks.
#include "loader/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>
#include <tuple>

#include "trace/errors.h"

namespace batch71::loader {
namespace {

using ::testing::ElementsAre;

TEST(SamplerGolden, GivesWhatDistributedSamplerGives) {
  std::ifstream golden(BATCH71_SOURCE_DIR "/loader/golden/sampler.txt");
  int lines = 0;
  for (std::string line; std::getline(golden, line); ++lines) {
    std::istringstream fields(line);
    SamplerSpec spec;
    int32_t epoch = 0;
    fields >> spec.dataset_size >> spec.world_size >> spec.rank >> spec.shuffle >> spec.drop_last >>
        spec.seed >> epoch;
    std::vector<int64_t> expected;
    for (int64_t index = 0; fields >> index;) expected.push_back(index);
    EXPECT_EQ(sampler_indices(spec, epoch), expected) << line;
  }
  EXPECT_EQ(lines, 144);
}

TEST(Plan, CutsIntoBatchesAndKeepsOrDropsTheRest) {
  SamplerSpec spec{.dataset_size = 5, .batch_size = 2, .shuffle = false};
  const EpochPlan kept = make_plan(spec, 0);
  ASSERT_EQ(kept.batches.size(), 3u);
  EXPECT_THAT(kept.batches[2].indices, ElementsAre(4));
  spec.drop_last = true;
  EXPECT_EQ(make_plan(spec, 0).batches.size(), 2u);
}

TEST(Plan, AShardIsNotDivided) {
  const SamplerSpec spec{
      .dataset_size = 4, .rank = 1, .world_size = 8, .sharded = true, .shuffle = false};
  EXPECT_THAT(sampler_indices(spec, 0), ElementsAre(0, 1, 2, 3));
}

TEST(Plan, AnEmptyShardHasAPlanWithoutBatches) {
  SamplerSpec spec;
  spec.world_size = 2;
  spec.sharded = true;
  const EpochPlan plan = make_plan(spec, 0);
  EXPECT_TRUE(plan.batches.empty());
  EXPECT_NO_THROW(refuse_if_empty(plan, spec));
}

TEST(Plan, RefusesMoreRanksThanSamples) {
  const SamplerSpec spec{.dataset_size = 3, .world_size = 4};
  EXPECT_THROW(make_plan(spec, 0), UsageError);
}

TEST(Plan, RefusesToDropEverything) {
  const SamplerSpec spec{.dataset_size = 8, .world_size = 2, .batch_size = 5, .drop_last = true};
  EXPECT_THAT([&] { refuse_if_empty(make_plan(spec, 0), spec); },
              ::testing::ThrowsMessage<UsageError>(
                  ::testing::HasSubstr("8 samples make no full batch of 5 on 2 ranks")));
}

TEST(Plan, DigestFollowsEpochAndIndices) {
  const SamplerSpec spec{.dataset_size = 50};
  EXPECT_EQ(make_plan(spec, 1).digest, make_plan(spec, 1).digest);
  EXPECT_NE(make_plan(spec, 1).digest, make_plan(spec, 2).digest);
}

// Of all ranks, in one epoch.
std::vector<EpochPlan> plans_of_all(SamplerSpec spec, int32_t epoch) {
  std::vector<EpochPlan> plans;
  for (spec.rank = 0; spec.rank < spec.world_size; ++spec.rank) {
    plans.push_back(make_plan(spec, epoch));
  }
  return plans;
}

// Durations from 1 s to 31 s, as a manifest may have them.
std::vector<double> durations(int64_t size) {
  std::vector<double> out;
  for (int64_t i = 0; i < size; ++i) out.push_back(1 + static_cast<double>(i * 7919 % 997) / 33);
  return out;
}

std::vector<int64_t> sorted_samples(const std::vector<EpochPlan>& plans) {
  std::vector<int64_t> all;
  for (const EpochPlan& plan : plans) {
    for (const BatchPlan& batch : plan.batches) {
      all.insert(all.end(), batch.indices.begin(), batch.indices.end());
    }
  }
  std::sort(all.begin(), all.end());
  return all;
}

std::vector<size_t> sizes(const EpochPlan& plan) {
  std::vector<size_t> all;
  for (const BatchPlan& batch : plan.batches) all.push_back(batch.indices.size());
  return all;
}

// What is padded, if each batch is as long as its longest sample.
double padding_s(const std::vector<EpochPlan>& plans, const std::vector<double>& durations_s) {
  double padding = 0;
  for (const EpochPlan& plan : plans) {
    for (const BatchPlan& batch : plan.batches) {
      double longest = 0;
      double sum = 0;
      for (const int64_t index : batch.indices) {
        const double duration = durations_s[static_cast<size_t>(index)];
        longest = std::max(longest, duration);
        sum += duration;
      }
      padding += longest * static_cast<double>(batch.indices.size()) - sum;
    }
  }
  return padding;
}

// World size, samples, batch size, shuffle, drop_last.
class Buckets : public ::testing::TestWithParam<std::tuple<int, int64_t, int, bool, bool>> {
 protected:
  SamplerSpec without() const {
    const auto [world_size, size, batch_size, shuffle, drop_last] = GetParam();
    return {.dataset_size = size,
            .world_size = world_size,
            .batch_size = batch_size,
            .shuffle = shuffle,
            .seed = 71,
            .drop_last = drop_last};
  }
  SamplerSpec with() const {
    SamplerSpec spec = without();
    spec.buckets = buckets_of(durations(spec.dataset_size), 10);
    return spec;
  }
};

TEST_P(Buckets, HaveTheSameSamplesInAsManyBatchesOnEveryRank) {
  for (int32_t epoch = 0; epoch < 3; ++epoch) {
    const std::vector<EpochPlan> plain = plans_of_all(without(), epoch);
    const std::vector<EpochPlan> bucketed = plans_of_all(with(), epoch);
    EXPECT_EQ(sorted_samples(bucketed), sorted_samples(plain));
    for (const EpochPlan& plan : bucketed) EXPECT_EQ(sizes(plan), sizes(plain[0]));
  }
}

TEST_P(Buckets, FollowSeedAndEpochAlone) {
  const SamplerSpec spec = with();
  EXPECT_EQ(make_plan(spec, 1).digest, make_plan(spec, 1).digest);
  if (spec.dataset_size < 100) return;  // so few may come in the same order by chance
  EXPECT_EQ(sampler_indices(spec, 1) != sampler_indices(spec, 2), spec.shuffle);
}

INSTANTIATE_TEST_SUITE_P(Everywhere, Buckets,
                         ::testing::Combine(::testing::Values(1, 2, 3, 4),
                                            ::testing::Values(8, 100, 512, 997),
                                            ::testing::Values(1, 4, 8), ::testing::Bool(),
                                            ::testing::Bool()));

TEST(Bucketing, PutsTogetherWhatIsAboutAsLong) {
  const std::vector<double> durations_s = durations(997);
  SamplerSpec spec{.dataset_size = 997, .world_size = 4, .batch_size = 8};
  const double plain_s = padding_s(plans_of_all(spec, 0), durations_s);
  spec.buckets = buckets_of(durations_s, 10);
  EXPECT_LT(padding_s(plans_of_all(spec, 0), durations_s), plain_s / 4);
}

TEST(Bucketing, AllRanksAreInOneBucketOrInNeighboursAtEachStep) {
  SamplerSpec spec{.dataset_size = 960, .world_size = 4, .batch_size = 8};
  spec.buckets = buckets_of(durations(960), 6);
  const std::vector<EpochPlan> plans = plans_of_all(spec, 5);
  std::vector<int> first_buckets;
  for (size_t step = 0; step < plans[0].batches.size(); ++step) {
    std::set<int> buckets;
    for (const EpochPlan& plan : plans) {
      for (const int64_t index : plan.batches[step].indices) {
        buckets.insert(spec.buckets[static_cast<size_t>(index)]);
      }
    }
    EXPECT_LE(*buckets.rbegin() - *buckets.begin(), 1) << "step " << step;
    first_buckets.push_back(*buckets.begin());
  }
  EXPECT_FALSE(std::is_sorted(first_buckets.begin(), first_buckets.end()));
}

TEST(Bucketing, DropsAnyoneNotAlwaysTheLongest) {
  SamplerSpec spec{.dataset_size = 103, .batch_size = 8, .drop_last = true};
  spec.buckets = buckets_of(durations(103), 10);
  EXPECT_NE(sorted_samples(plans_of_all(spec, 0)), sorted_samples(plans_of_all(spec, 1)));
}

TEST(Bucketing, BucketsAreAboutAsFull) {
  const std::vector<int> buckets = buckets_of({5, 1, 3, 3, 9, 2}, 3);
  EXPECT_THAT(buckets, ElementsAre(2, 0, 1, 1, 2, 0));
}

TEST(Plan, TruncateCountsWhatIsLeftOutAndExtendRepeatsFromTheStart) {
  const SamplerSpec spec{.dataset_size = 5, .batch_size = 2, .shuffle = false};
  EpochPlan cut = make_plan(spec, 0);
  truncate(cut, 1);
  EXPECT_EQ(cut.batches.size(), 1u);
  EXPECT_EQ(cut.samples_dropped, 3);
  EpochPlan longer = make_plan(spec, 0);
  extend(longer, 5);
  EXPECT_EQ(longer.batches_repeated, 2);
  EXPECT_THAT(longer.batches[3].indices, ElementsAre(0, 1));
  EXPECT_THAT(longer.batches[4].indices, ElementsAre(2, 3));
  EXPECT_NE(longer.digest, make_plan(spec, 0).digest);
}

}  // namespace
}  // namespace batch71::loader
