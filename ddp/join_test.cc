// Tests of real ranks of which some run dry, and of steps over several batches: the gradients are those of
// one process with the same valid samples.
#include <ATen/ops/sqrt.h>
#include <gmock/gmock.h>
#include <torch/nn/modules/batchnorm.h>

#include "ddp/classifier.h"
#include "ddp/ranks_test_util.h"

namespace batch71::ddp {
namespace {

using nlohmann::json;
using ::testing::Contains;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Pointwise;
using ::testing::SizeIs;

constexpr double kSame = 1e-6;

MATCHER(IsNearly, "") { return std::abs(std::get<0>(arg) - std::get<1>(arg)) <= kSame; }

class Join : public Ranks {
 protected:
  // Shards of those sizes, joined; the reference's own model.
  static Case shards(const std::vector<int64_t>& sizes) {
    Case with;
    with.sharded = true;
    with.sizes = sizes;
    with.guards().uneven = loader::Uneven::kJoin;
    with.guards().error_budget = 1'000;
    with.model = [](int, const ModelSpec& spec) { return classifier_factory(5)(spec); };
    return with;
  }

  // The job in one process: each of its batches is what all ranks put into one step, and what a rank did
  // not have is a dummy there. `consumed`: by each rank.
  static Case in_one_process(const Case& job, const std::vector<int64_t>& consumed) {
    const int64_t size = job.config.loader.train_ds.batch_size;
    const int64_t per_step = job.config.trainer.accumulate_grad_batches * size;
    const int64_t ranks = job.world_size();
    const int64_t most = *std::max_element(consumed.begin(), consumed.end());
    Case one = job;
    one.sharded = false;
    one.dry_after.clear();
    one.sizes = {(most + per_step - 1) / per_step * per_step * ranks};
    one.ds().batch_size = static_cast<int>(per_step * ranks);
    one.trainer().accumulate_grad_batches = 1;
    one.sample = [=, own = job.sample](int, int64_t index) {
      const int64_t step = index / (per_step * ranks);
      const int64_t rank = index % (per_step * ranks) / per_step;
      const int64_t at = step * per_step + index % per_step;
      if (at >= consumed[static_cast<size_t>(rank)]) return int64_t{-1};
      return own ? own(static_cast<int>(rank), at) : rank * kShard + at;
    };
    return one;
  }

  // By step, as rank 0 wrote them down.
  std::map<int64_t, double> losses() const {
    std::map<int64_t, double> all;
    for (const json& line : ledger(0)) {
      if (line.contains("loss")) all[line["step"]] = line["loss"];
    }
    return all;
  }

  // Runs both, and compares weights, the last step's gradients and the losses.
  void expect_as_in_one_process(const Case& job, const std::vector<int64_t>& consumed) {
    ASSERT_THAT(run(job), Each(0));
    const std::vector<double> weights = numbers(0);
    const std::vector<double> gradients = numbers(0, "gradients");
    const std::map<int64_t, double> together = losses();
    for (int rank = 1; rank < job.world_size(); ++rank) {
      EXPECT_EQ(numbers(rank), weights);
      EXPECT_EQ(numbers(rank, "gradients"), gradients);
    }
    ASSERT_THAT(run(in_one_process(job, consumed)), Each(0));
    EXPECT_THAT(numbers(0), Pointwise(IsNearly(), weights));
    EXPECT_THAT(numbers(0, "gradients"), Pointwise(IsNearly(), gradients));
    EXPECT_THAT(gradients, Contains(Not(0.0)));
    const std::map<int64_t, double> alone = losses();
    for (const auto& [step, loss] : together) EXPECT_NEAR(loss, alone.at(step), kSame) << step;
  }
};

TEST_F(Join, RanksThatRunDryGoOnWithShadows) {
  expect_as_in_one_process(shards({8, 6, 2}), {8, 6, 2});
}

TEST_F(Join, ShadowsAreNotConsumed) {
  ASSERT_THAT(run(shards({8, 6, 2})), Each(0));
  EXPECT_THAT(ledger(0), SizeIs(4 + 1));
  EXPECT_THAT(ledger(1), SizeIs(3 + 1));
  EXPECT_THAT(ledger(2), SizeIs(1 + 1));
  for (int rank = 0; rank < 3; ++rank) {
    EXPECT_EQ(ledger(rank).back(),
              json({{"rank", rank}, {"done", true}, {"steps", 4}, {"dummies", 0}}));
  }
  EXPECT_THAT(said(trace::Event::kJoined), SizeIs(2));
}

TEST_F(Join, AStreamMayEndWithoutHavingSaidSo) {
  Case early = shards({8, 8, 8});
  early.dry_after = {{1, 1}, {2, 3}};
  expect_as_in_one_process(early, {8, 2, 6});
  start_anew();
  ASSERT_THAT(run(early), Each(0));
  EXPECT_THAT(said(trace::Event::kJoined), SizeIs(2));
}

TEST_F(Join, ARankMayHaveNothingFromTheStart) {
  Case none = shards({8, 1});
  none.ds().drop_last = true;
  expect_as_in_one_process(none, {8, 0});
}

TEST_F(Join, AllMayEndBeforeTheirPlans) {
  Case early = shards({8, 8});
  early.dry_after = {{0, 3}, {1, 1}};
  expect_as_in_one_process(early, {6, 2});
  early.config.trainer.max_epochs = 2;  // the next epoch begins with all of them
  ASSERT_THAT(run(early), Each(0));
}

TEST_F(Join, WithoutItAStreamThatEndsEarlyEndsTheJobByName) {
  Case early = shards({8, 8});
  early.guards().uneven = loader::Uneven::kFail;
  early.dry_after = {{1, 1}};
  EXPECT_THAT(run(early), Each(static_cast<int>(ExitCode::kRanksDisagree)));
  EXPECT_THAT(said(trace::Event::kDisagreement), Each(HasSubstr("rank=1 ranks=1 what=has_data")));
}

TEST_F(Join, AStepMayTakeSeveralBatches) {
  Case with = shards({12, 12});
  with.trainer().accumulate_grad_batches = 2;
  expect_as_in_one_process(with, {12, 12});
}

TEST_F(Join, TheDivisorOfAStepIsWhatIsValidInAllOfItsBatches) {
  Case with = shards({12, 12});
  with.trainer().accumulate_grad_batches = 3;
  // All of rank 1's first batch, half of its third, and in the second step all that is last.
  with.sample = [](int rank, int64_t index) {
    const bool bad = rank == 1 ? index < 2 || index == 5 || index >= 10 : index >= 10;
    return bad ? -1 : rank * kShard + index;
  };
  expect_as_in_one_process(with, {12, 12});
}

TEST_F(Join, LinesOfAStepComeTogether) {
  Case with = shards({6, 6});
  with.trainer().accumulate_grad_batches = 2;
  ASSERT_THAT(run(with), Each(0));
  const std::vector<json> lines = ledger(1);
  ASSERT_THAT(lines, SizeIs(3 + 1));
  EXPECT_EQ(lines[0]["step"], 0);
  EXPECT_EQ(lines[1]["step"], 0);
  EXPECT_EQ(lines[0]["loss"], lines[1]["loss"]);
  EXPECT_EQ(lines[2]["step"], 1);  // the epoch's end is a step's end
  EXPECT_EQ(lines[3]["steps"], 2);
  EXPECT_EQ(times(0, trace::Event::kAllreduceDone), 2);
  EXPECT_EQ(times(0, trace::Event::kAllreduceStarted), 2);
}

TEST_F(Join, StepsOfSeveralBatchesAreJoinedToo) {
  Case with = shards({14, 6});
  with.trainer().accumulate_grad_batches = 3;
  expect_as_in_one_process(with, {14, 6});
  with.dry_after = {{0, 4}};  // both run dry in the middle of the second step
  expect_as_in_one_process(with, {8, 6});
}

// Remembers its input's mean; the weights follow nothing else.
class Normed : public Model {
 public:
  Normed() : norm_(register_module("norm", torch::nn::BatchNorm1d(1))) {}
  at::Tensor forward(const loader::Batch& batch) override {
    return norm_->forward(batch.features).mean(at::IntArrayRef{1, 2});
  }
  at::Tensor loss_sum(const at::Tensor& outputs, const at::Tensor& labels) override {
    return (outputs - labels.to(at::kFloat)).square().sum();
  }

 private:
  torch::nn::BatchNorm1d norm_;
};

TEST_F(Join, RunningStatisticsAreLeftAlone) {
  Case with = shards({8, 4});
  with.model = [](int, const ModelSpec&) { return std::make_shared<Normed>(); };
  ASSERT_THAT(run(with), Each(0));
  const std::vector<double> joined = numbers(1, "buffers");
  EXPECT_EQ(joined.back(), 2);  // batches that it saw
  with.sizes = {4, 4};
  ASSERT_THAT(run(with), Each(0));
  EXPECT_EQ(numbers(1, "buffers"), joined);
}

// Has no gradient where the input is small, as it is in dummies and shadows.
class Root : public Line {
 public:
  at::Tensor forward(const loader::Batch& batch) override {
    const at::Tensor mean = batch.features.mean(at::IntArrayRef{1, 2});
    return at::sqrt((mean - 0.11) * (weight() + 1));
  }
};

TEST_F(Join, WhatAShadowMakesOfTheWeightsStaysWithIt) {
  Case with = shards({8, 4});
  with.model = [](int, const ModelSpec&) { return std::make_shared<Root>(); };
  ASSERT_THAT(run(with), Each(0));
  EXPECT_TRUE(std::isfinite(weight(0)));
  EXPECT_EQ(weight(0), weight(1));
  EXPECT_NE(weight(0), 0);
}

}  // namespace
}  // namespace batch71::ddp
