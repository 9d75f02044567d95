// Tests of real ranks: processes that meet over Gloo, on data and with a model made for it.
#include <gmock/gmock.h>

#include <limits>

#include "ddp/ranks_test_util.h"

namespace batch71::ddp {
namespace {

using nlohmann::json;
using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Its loss is NaN in that step.
class Sick : public Line {
 public:
  explicit Sick(int64_t nan_step) : nan_step_(nan_step) {}
  at::Tensor loss_sum(const at::Tensor& outputs, const at::Tensor& labels) override {
    const double factor = step_++ == nan_step_ ? std::numeric_limits<double>::quiet_NaN() : 1;
    return Line::loss_sum(outputs, labels) * factor;
  }

 private:
  int64_t nan_step_;
  int64_t step_ = 0;
};

class Throwing : public Line {
 public:
  at::Tensor forward(const loader::Batch&) override { throw 71; }
};

// All samples but that one can be loaded.
void spoil(Case& with, int64_t index) {
  with.sample = [index](int, int64_t at) { return at == index ? -1 : at; };
}

TEST_F(Ranks, TwoTrainTogetherAndSayWhatTheyConsumed) {
  EXPECT_THAT(run({}), Each(0));
  const std::vector<json> lines = ledger(1);
  ASSERT_EQ(lines.size(), 3u);  // 8 samples, 2 ranks, batches of 2; and the last word
  EXPECT_EQ(lines[0]["indices"], json({1, 3}));
  EXPECT_EQ(lines[1]["indices"], json({5, 7}));
  EXPECT_EQ(lines[0]["loss"], ledger(0)[0]["loss"]);
  EXPECT_EQ(lines[2], json({{"rank", 1}, {"done", true}, {"steps", 2}, {"dummies", 0}}));
  EXPECT_EQ(weight(0), weight(1));
  EXPECT_NE(weight(0), 0);
}

TEST_F(Ranks, ADummyCountsForNothing) {
  Case two;
  two.sizes = {4, 4};
  spoil(two, 3);  // of rank 1, whose batch is {1, 3}
  EXPECT_THAT(run(two), Each(0));
  EXPECT_EQ(ledger(1)[0]["dummies"], json({3}));
  const double together = weight(0);
  EXPECT_EQ(together, weight(1));
  Case one;  // the same valid samples in one process
  one.sizes = {3};
  one.ds().batch_size = 3;
  EXPECT_THAT(run(one), Each(0));
  EXPECT_NEAR(weight(0), together, 1e-6);
  EXPECT_NE(together, 0);
}

TEST_F(Ranks, AStepWithoutAnythingValidIsSkippedByAll) {
  Case only;
  only.sizes = {2, 2};
  only.ds().batch_size = 1;
  spoil(only, 0);
  EXPECT_THAT(run(only), Each(0));  // rank 0 has nothing valid, rank 1 has
  EXPECT_EQ(weight(0), weight(1));
  EXPECT_NE(weight(0), 0);
  only.sizes = {1};
  EXPECT_THAT(run(only), Each(0));
  EXPECT_EQ(weight(0), 0);
}

TEST_F(Ranks, UnevenShardsFailByName) {
  Case uneven;
  uneven.sharded = true;
  uneven.sizes = {8, 6};
  EXPECT_THAT(run(uneven), Each(static_cast<int>(ExitCode::kRanksDisagree)));
  EXPECT_THAT(said(trace::Event::kDisagreement),
              ElementsAre(HasSubstr("kind=shards_uneven rank=1"), HasSubstr("batches=3 others=4")));
}

TEST_F(Ranks, UnevenShardsArePadded) {
  Case uneven;
  uneven.sharded = true;
  uneven.sizes = {8, 6};
  uneven.guards().uneven = loader::Uneven::kPad;
  EXPECT_THAT(run(uneven), Each(0));
  const std::vector<json> lines = ledger(1);
  ASSERT_EQ(lines.size(), 5u);
  EXPECT_EQ(lines[3]["indices"], lines[0]["indices"]);
  EXPECT_TRUE(lines[3].value("repeat", false));
  EXPECT_FALSE(lines[2].value("repeat", false));
}

// One rank's shard is empty: none leaves by itself, and what is to be done is decided by all.
TEST_F(Ranks, AnEmptyShardTakesPartInTheAgreement) {
  constexpr int kDisagree = static_cast<int>(ExitCode::kRanksDisagree);
  constexpr int kUsage = static_cast<int>(ExitCode::kUsage);
  const std::pair<loader::Uneven, int> endings[] = {
      {loader::Uneven::kFail, kDisagree},
      {loader::Uneven::kPad, kDisagree},  // there is nothing to repeat
      {loader::Uneven::kDrop, kUsage},    // there is nothing left to train on
      {loader::Uneven::kJoin, 0},
  };
  for (const auto& [uneven, code] : endings) {
    Case empty;
    empty.sharded = true;
    empty.sizes = {8, 0};
    empty.guards().uneven = uneven;
    EXPECT_THAT(run(empty), Each(code)) << static_cast<int>(uneven);
  }
}
TEST_F(Ranks, NothingToTrainOnIsNoJob) {
  for (const bool sharded : {false, true}) {
    Case small;
    small.sharded = sharded;
    small.sizes = {1, 1};
    if (!sharded) small.sizes = {2, 2};
    small.ds().drop_last = true;
    EXPECT_THAT(run(small), Each(static_cast<int>(ExitCode::kUsage))) << sharded;
    EXPECT_TRUE(ledger(0).empty());
  }
}
TEST_F(Ranks, UnevenShardsAreCutToTheShortest) {
  Case uneven;
  uneven.sharded = true;
  uneven.sizes = {8, 6};
  uneven.guards().uneven = loader::Uneven::kDrop;
  EXPECT_THAT(run(uneven), Each(0));
  EXPECT_EQ(ledger(0).size(), 4u);
  EXPECT_EQ(ledger(1).size(), 4u);
  EXPECT_EQ(said(trace::Event::kDropped).size(), 2u);
}

TEST_F(Ranks, AnotherSeedIsFoundBeforeTheFirstStep) {
  Case odd;
  odd.odd_rank = 1;
  EXPECT_THAT(run(odd), Each(static_cast<int>(ExitCode::kRanksDisagree)));
  EXPECT_THAT(said(trace::Event::kDisagreement), Each(HasSubstr("rank=1 ranks=1 what=seed")));
  EXPECT_TRUE(ledger(0).empty());
}

TEST_F(Ranks, WhoHasTheShardOfAnotherIsFoundBeforeTheFirstStep) {
  Case same;
  same.sharded = true;
  same.shard_digest = 71;
  EXPECT_THAT(run(same), Each(static_cast<int>(ExitCode::kRanksDisagree)));
  EXPECT_THAT(said(trace::Event::kDisagreement), Each(HasSubstr("kind=shards_identical rank=-1")));
  EXPECT_TRUE(ledger(0).empty());
}

TEST_F(Ranks, TheErrorBudgetIsOneForAll) {
  Case spent;
  spoil(spent, 3);
  spent.guards().error_budget = 0;
  EXPECT_THAT(run(spent), Each(static_cast<int>(ExitCode::kErrorBudgetSpent)));
  EXPECT_EQ(ledger(0).size(), ledger(1).size());
}

TEST_F(Ranks, AModelThatThrowsAnythingEndsAllAndTheyKnowWhy) {
  Case odd;
  odd.model = [](int rank, const ModelSpec&) -> std::shared_ptr<Model> {
    if (rank == 1) return std::make_shared<Throwing>();
    return std::make_shared<Line>();
  };
  EXPECT_THAT(run(odd), ElementsAre(static_cast<int>(ExitCode::kPeerLost),
                                    static_cast<int>(ExitCode::kFailure)));
  EXPECT_THAT(said(trace::Event::kError), ElementsAre(HasSubstr("no std::exception")));
  EXPECT_THAT(said(trace::Event::kEnding), Contains(HasSubstr("rank 1 reports: something")));
}

TEST_F(Ranks, ALossThatIsNotFiniteEndsAllBeforeTheOptimizer) {
  Case nan;
  nan.model = [](int rank, const ModelSpec&) { return std::make_shared<Sick>(rank == 1 ? 1 : -1); };
  EXPECT_THAT(run(nan), Each(static_cast<int>(ExitCode::kNonFiniteLoss)));
  EXPECT_EQ(ledger(0).size(), 1u);
  EXPECT_EQ(ledger(1).size(), 1u);
}

}  // namespace
}  // namespace batch71::ddp
