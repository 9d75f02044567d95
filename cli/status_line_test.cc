// The live line: who is named, and that nobody is who has done its part.
#include "cli/status_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>

#include "diagnose/run_folder_test_util.h"

namespace batch71::cli {
namespace {

using diagnose::RunFolderBuilder;
using ::testing::HasSubstr;
using ::testing::Not;
using trace::Event;
using trace::Stage;

// Rank 1 has been in forward for 9 s, rank 0 waits for it.
void stand_still(RunFolderBuilder& run) {
  run.main(0).begin({0, 71, -1});
  run.main(0).record(Event::kStepDone, Stage::kStep, std::bit_cast<int64_t>(1.25), 32);
  run.main(0).record(Event::kAllreduceStarted, Stage::kAllreduce);
  run.make_older(run.main(0), 20);
  run.main(1).record(Event::kForwardCalled, Stage::kForward);
  run.make_older(run.main(1), 9);
}

TEST(StatusLine, NamesTheRankThatIsBehindAndNobodyWhoWaits) {
  RunFolderBuilder run;
  stand_still(run);
  EXPECT_EQ(StatusLine(run.path(), 2).text(),
            "epoch 0 batch 71  loss 1.2500  rank 1 in forward since 9 s");
}

TEST(StatusLine, NamesNobodyWhoIsDone) {
  RunFolderBuilder run;
  stand_still(run);
  run.main(1).incident(Event::kDone, Stage::kShutdown);
  StatusLine line(run.path(), 2);
  EXPECT_THAT(line.text(), Not(HasSubstr("rank")));
  EXPECT_THAT(line.text(), Not(HasSubstr("rank")));
}

TEST(StatusLine, IsThereBeforeAnybodyWrites) {
  RunFolderBuilder run;
  EXPECT_EQ(StatusLine(run.path(), 2).text(), "starting");
}

}  // namespace
}  // namespace batch71::cli
