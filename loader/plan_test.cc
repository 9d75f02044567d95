// Plans: index for index PyTorch's, in every epoch; cut and extended for uneven ranks.
#include "loader/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

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

TEST(Plan, RefusesMoreRanksThanSamples) {
  const SamplerSpec spec{.dataset_size = 3, .world_size = 4};
  EXPECT_THROW(make_plan(spec, 0), UsageError);
}

TEST(Plan, DigestFollowsEpochAndIndices) {
  const SamplerSpec spec{.dataset_size = 50};
  EXPECT_EQ(make_plan(spec, 1).digest, make_plan(spec, 1).digest);
  EXPECT_NE(make_plan(spec, 1).digest, make_plan(spec, 2).digest);
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
