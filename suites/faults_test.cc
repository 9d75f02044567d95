// Every fault of the catalogue, in a real job of four ranks, in batch 71: located, and recovered.
#include <gtest/gtest.h>

#include <algorithm>

#include "faults/fault.h"
#include "fixtures/oracle.h"
#include "fixtures/run.h"
#include "suites/matchers.h"

namespace batch71::suites {
namespace {

using fixtures::Given;
using fixtures::Run;
using fixtures::Topology;

// A fault strikes the third sample of batch 71 of rank 1: neither first nor last.
faults::Where batch_71_of_rank_1(const Topology& topology) {
  return {1, 71, fixtures::indices_of(topology, 1, 71)[2]};
}

class EveryFault : public ::testing::TestWithParam<faults::Fault> {};

TEST_P(EveryFault, IsLocatedAndRecovered) {
  const Topology topology;
  const faults::Where where = batch_71_of_rank_1(topology);
  const Run run = Given(topology).Inject(GetParam(), where).Launch();
  EXPECT_THAT(run, EveryRankEndsWith(0));
  EXPECT_THAT(run, Names(GetParam().verdict, where));
  EXPECT_THAT(run, LosesExactly(std::vector<int64_t>{where.index}, topology));
  EXPECT_THAT(run.betrayals, ::testing::IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Original, EveryFault, ::testing::ValuesIn(faults::catalogue()),
                         [](const auto& param_info) { return param_info.param.name; });

class EveryTopology : public ::testing::TestWithParam<std::tuple<int, int, bool>> {};

TEST_P(EveryTopology, LosesNothingWhenNothingIsWrong) {
  const auto [world_size, num_workers, shuffle] = GetParam();
  const Topology topology{world_size, num_workers, 4, shuffle, 71, 12};
  const Run run = Given(topology).Launch();
  EXPECT_THAT(run, EveryRankEndsWith(0));
  EXPECT_THAT(run, LosesExactly(std::vector<int64_t>{}, topology));
  EXPECT_EQ(run.diagnosis["verdicts"][0]["kind"], "nothing_wrong") << run.diagnosis.dump(2);
}

TEST_P(EveryTopology, LosesOneSampleToACutFile) {
  const auto [world_size, num_workers, shuffle] = GetParam();
  const Topology topology{world_size, num_workers, 4, shuffle, 71, 12};
  const int rank = world_size - 1;
  const faults::Where where{rank, 5, fixtures::indices_of(topology, rank, 5)[0]};
  const Run run = Given(topology).Inject(faults::find_fault("wav_truncated_data"), where).Launch();
  EXPECT_THAT(run, EveryRankEndsWith(0));
  EXPECT_THAT(run, Names("audio_truncated", where));
  EXPECT_THAT(run, LosesExactly(std::vector<int64_t>{where.index}, topology));
}

INSTANTIATE_TEST_SUITE_P(Short, EveryTopology,
                         ::testing::Combine(::testing::Values(1, 2, 4), ::testing::Values(0, 1, 2),
                                            ::testing::Bool()),
                         [](const auto& param_info) {
                           std::string text = fixtures::name(
                               {std::get<0>(param_info.param), std::get<1>(param_info.param), 4,
                                std::get<2>(param_info.param), 71, 12});

                           std::replace(text.begin(), text.end(), '.', '_');
                           return text;
                         });

// Past the budget the job stops, on all ranks alike, with the code that says so.
TEST(ErrorBudget, EndsTheJobOnEveryRankAlike) {
  const Topology topology{2, 1, 4, false, 71, 12};
  const faults::Where where{1, 5, fixtures::indices_of(topology, 1, 5)[0]};
  const Run run = Given(topology)
                      .Inject(faults::find_fault("file_missing"), where)
                      .Guard("error_budget", "0")
                      .Launch();
  for (const launch::RankEnd& end : run.ends) EXPECT_EQ(end.exit_code, 20) << run.outputs[0];
}

}  // namespace
}  // namespace batch71::suites
