// Tests of what ranks must agree on.
#include "ddp/agreement.h"

#include <gmock/gmock.h>

namespace batch71::ddp {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

std::vector<EpochSide> sides_with_batches(const std::vector<int64_t>& counts) {
  std::vector<EpochSide> sides;
  for (const int64_t count : counts) {
    EpochSide side;
    side.batches = count;
    side.samples = count * 8;
    sides.push_back(side);
  }
  return sides;
}

TEST(EpochAgreement, SideSurvivesTravel) {
  EpochSide side;
  side.world_size = 4;
  side.manifest_digest = -7;
  side.plan_digest = 99;
  EXPECT_EQ(EpochSide::from_row(side.row()).row(), side.row());
  EXPECT_THAT(to_text(side), HasSubstr("manifest_digest=fffffffffffffff9"));
}

TEST(EpochAgreement, EqualSidesAgreeThoughPlansDiffer) {
  std::vector<EpochSide> sides = sides_with_batches({72, 72});
  sides[1].plan_digest = 5;
  EXPECT_THAT(disagreement(sides), IsEmpty());
  EXPECT_THAT(unevenness(sides), IsEmpty());
}

TEST(EpochAgreement, NamesThoseAtOddsWithTheMajority) {
  std::vector<EpochSide> sides = sides_with_batches({72, 72, 72, 72});
  sides[1].config_digest = 1;
  sides[3].config_digest = 2;
  EXPECT_THAT(disagreement(sides),
              StartsWith("kind=ranks_disagree rank=1 ranks=1,3 what=config_digest"));
}

TEST(EpochAgreement, RankZeroCanBeTheOddOne) {
  std::vector<EpochSide> sides = sides_with_batches({72, 72, 72});
  sides[0].seed = 1;
  EXPECT_EQ(disagreement(sides), "kind=ranks_disagree rank=0 ranks=0 what=seed mine=1 others=0");
}

TEST(EpochAgreement, AModelThatDiffersForWantOfSamplesIsAnEmptyShard) {
  std::vector<EpochSide> sides = sides_with_batches({72, 0});
  sides[1].parameter_digest = 1;
  EXPECT_THAT(disagreement(sides), StartsWith("kind=shards_uneven rank=1 ranks=1 batches=0"));
  sides = sides_with_batches({72, 71});
  sides[1].parameter_digest = 1;
  EXPECT_THAT(disagreement(sides), HasSubstr("what=parameter_digest"));
  sides = sides_with_batches({0, 0});
  sides[1].parameter_digest = 1;
  EXPECT_THAT(disagreement(sides), HasSubstr("what=parameter_digest"));
  sides[1].config_digest = 1;
  EXPECT_THAT(disagreement(sides), HasSubstr("what=config_digest"));
}

TEST(EpochAgreement, NamesThoseThatHaveTheShardOfAnother) {
  std::vector<EpochSide> sides = sides_with_batches({72, 72, 72, 72});
  EXPECT_THAT(identical_shards(sides), IsEmpty());  // not sharded, or nothing is known
  for (size_t rank = 0; rank < sides.size(); ++rank) {
    sides[rank].shard_digest = static_cast<int64_t>(rank) + 7;
  }
  EXPECT_THAT(identical_shards(sides), IsEmpty());
  sides[3].shard_digest = sides[1].shard_digest;
  EXPECT_EQ(identical_shards(sides), "kind=shards_identical rank=3 ranks=3");
  for (EpochSide& side : sides) side.shard_digest = 7;
  EXPECT_EQ(identical_shards(sides), "kind=shards_identical rank=-1 ranks=1,2,3");
  EXPECT_THAT(identical_shards({sides[0]}), IsEmpty());
}

TEST(EpochAgreement, NamesTheShortShardAlsoAmongTwo) {
  EXPECT_EQ(unevenness(sides_with_batches({71, 72})),
            "kind=shards_uneven rank=0 ranks=0 batches=71 others=72 samples=568");
  EXPECT_EQ(unevenness(sides_with_batches({72, 71, 72, 72})),
            "kind=shards_uneven rank=1 ranks=1 batches=71 others=72 samples=568");
}

Row sum_of(const std::vector<StepSide>& sides) {
  Row sum(sides.at(0).row().size(), 0);
  for (const StepSide& side : sides) {
    const Row row = side.row();
    for (size_t i = 0; i < row.size(); ++i) sum[i] += row[i];
  }
  return sum;
}

StepSide side_at(int64_t position) { return {1, 8, 0, position}; }

TEST(StepAgreement, TogetherOnlyAtTheSamePosition) {
  const std::vector<StepSide> same{side_at(5), side_at(5), side_at(5)};
  EXPECT_TRUE(is_together(sum_of(same), same[0], 3));
  // The sum alone would not tell: 4 + 5 + 6 is 3 * 5.
  const std::vector<StepSide> apart{side_at(4), side_at(5), side_at(6)};
  for (const StepSide& side : apart) EXPECT_FALSE(is_together(sum_of(apart), side, 3));
}

TEST(StepAgreement, ARankWithoutDataIsCountedAndNamed) {
  std::vector<StepSide> sides{side_at(5), side_at(5)};
  sides[1].has_data = 0;
  EXPECT_EQ(sum_of(sides)[0], 1);
  EXPECT_EQ(disagreement_of_steps({where_row(sides[0], 0, 71), where_row(sides[1], 0, 71)}),
            "kind=ranks_disagree rank=1 ranks=1 what=has_data mine=0 others=1");
}

TEST(StepAgreement, PositionsDifferByStepAndByPlanAndFitTheirSquares) {
  EXPECT_NE(step_position(1, 70), step_position(1, 71));
  EXPECT_NE(step_position(1, 71), step_position(2, 71));
  for (int64_t step = 0; step < 1000; ++step) EXPECT_LT(step_position(1, step), 1 << 20);
}

}  // namespace
}  // namespace batch71::ddp
