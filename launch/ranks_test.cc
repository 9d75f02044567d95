// Ranks: what they are told, how one end leads to the others, what is recorded.
#include "launch/ranks.h"

#include <gmock/gmock.h>
#include <signal.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "launch/becomes_true_test_util.h"
#include "trace/process_state.h"
#include "trace/reader.h"

namespace batch71::launch {
namespace {

namespace fs = std::filesystem;

class RanksTest : public testing::Test {
 protected:
  RanksTest() {
    std::string pattern = testing::TempDir() + "/ranks.XXXXXX";
    folder_ = mkdtemp(pattern.data());
  }
  ~RanksTest() override { fs::remove_all(folder_); }

  RanksSpec job(int world_size, const std::string& script) const {
    RanksSpec spec;
    spec.argv = {"sh", "-c", script};
    spec.world_size = world_size;
    spec.run_folder = folder_;
    spec.output_folder = folder_;
    spec.deadline_ms = 20'000;
    return spec;
  }
  static void run(Ranks& ranks) {
    while (ranks.step(1'000)) {
    }
  }
  // What was written down of ranks that were looked at.
  std::vector<std::string> observed() const {
    std::vector<std::string> texts;
    for (const trace::Timeline& timeline : trace::read_run(folder_).timelines) {
      for (const trace::Entry& entry : timeline.incidents) {
        if (entry.event == trace::Event::kObservation) texts.push_back(entry.text);
      }
    }
    return texts;
  }
  std::string output_of(int rank) const {
    std::stringstream text;
    text << std::ifstream(folder_ + "/rank" + std::to_string(rank) + ".log").rdbuf();
    return text.str();
  }

  std::string folder_;
};

TEST_F(RanksTest, EachRankIsToldWhoItIs) {
  RanksSpec spec = job(2,
                       "echo $RANK $LOCAL_RANK $WORLD_SIZE $LOCAL_WORLD_SIZE $MASTER_ADDR "
                       "$OMP_NUM_THREADS $BATCH71_RUN_DIR $BATCH71_LEDGER $MINE");
  spec.ledger_folder = "/ledgers";
  spec.rank_env = {{}, {{"MINE", "one"}}};
  Ranks ranks(spec);
  run(ranks);
  EXPECT_EQ(ranks.reason(), EndReason::kAllEnded);
  EXPECT_EQ(output_of(0), "0 0 2 2 127.0.0.1 1 " + folder_ + " /ledgers/rank0.jsonl\n");
  EXPECT_EQ(output_of(1), "1 1 2 2 127.0.0.1 1 " + folder_ + " /ledgers/rank1.jsonl one\n");
}

TEST_F(RanksTest, OneThatFailsEndsTheOthersAfterTheGrace) {
  RanksSpec spec = job(3, "[ $RANK = 1 ] && kill -9 $$; exec sleep 60");
  spec.end_grace_ms = 100;
  Ranks ranks(spec);
  run(ranks);
  EXPECT_EQ(ranks.reason(), EndReason::kRankFailed);
  EXPECT_EQ(ranks.ends()[1].signal, SIGKILL);
  EXPECT_FALSE(ranks.ends()[1].ended_by_us);
  for (const int other : {0, 2}) {
    const RankEnd& end = ranks.ends()[static_cast<size_t>(other)];
    EXPECT_EQ(end.signal, SIGTERM);
    EXPECT_TRUE(end.ended_by_us);
    EXPECT_GE(end.end_monotonic_ns, ranks.ends()[1].end_monotonic_ns + 100 * kNsPerMs);
  }
}

TEST_F(RanksTest, BeginAndEndAreInTheRunFolder) {
  Ranks ranks(job(2, "exit $((RANK * 20))"));
  run(ranks);
  std::string why;
  const std::optional<trace::Timeline> launch = trace::read_timeline(folder_ + "/launch.b71", &why);
  ASSERT_TRUE(launch) << why;
  std::vector<std::string> seen;
  for (const trace::Entry& entry : launch->incidents) {
    const bool is_end = entry.event == trace::Event::kRankEnded;
    seen.push_back(std::string(trace::name(entry.event)) + " " + std::to_string(entry.arg1) +
                   (is_end ? " " + std::to_string(entry.arg0) : ""));
  }
  const std::string started(trace::name(trace::Event::kRankStarted));
  const std::string ended(trace::name(trace::Event::kRankEnded));
  EXPECT_THAT(seen, testing::UnorderedElementsAre(started + " 0", started + " 1", ended + " 0 0",
                                                  ended + " 1 " + std::to_string(20 << 8)));
}

TEST_F(RanksTest, DeadlineEndsAll) {
  RanksSpec spec = job(2, "trap '' TERM; while :; do sleep 0.01; done");
  spec.deadline_ms = 200;
  spec.term_ms = 100;
  Ranks ranks(spec);
  run(ranks);
  EXPECT_EQ(ranks.reason(), EndReason::kDeadline);
  EXPECT_EQ(ranks.ends()[0].signal, SIGKILL);
  EXPECT_TRUE(ranks.ends()[1].ended_by_us);
}

TEST_F(RanksTest, StopEndsAll) {
  Ranks ranks(job(2, "exec sleep 60"));
  ranks.request_stop();
  run(ranks);
  EXPECT_EQ(ranks.reason(), EndReason::kStopped);
  EXPECT_EQ(ranks.ends()[1].signal, SIGTERM);
}

TEST_F(RanksTest, WhenAllAreStoppedNobodyElseCanEndTheJob) {
  RanksSpec spec = job(2, "kill -STOP $$");
  spec.all_stopped_ms = 1'000;
  spec.term_ms = 100;
  Ranks ranks(spec);
  run(ranks);
  EXPECT_EQ(ranks.reason(), EndReason::kAllRanksStopped);
  EXPECT_EQ(ranks.ends()[0].signal, SIGKILL);
  EXPECT_THAT(observed(), testing::IsSupersetOf({testing::HasSubstr("who=rank0.main state=T"),
                                                 testing::HasSubstr("who=rank1.main state=T")}));
}

TEST_F(RanksTest, WhoIsStoppedWhenOthersFailIsWrittenDown) {
  RanksSpec spec = job(3, R"(
    [ $RANK = 0 ] && exec sleep 60
    [ $RANK = 1 ] && echo $$ >pid && kill -STOP $$
    until [ -s pid ] && grep -q 'State:.T' /proc/$(cat pid)/status; do sleep 0.01; done
    exit 3)");
  spec.working_folder = folder_;
  spec.end_grace_ms = 100;
  spec.term_ms = 100;
  Ranks ranks(spec);
  run(ranks);
  EXPECT_EQ(ranks.reason(), EndReason::kRankFailed);
  EXPECT_THAT(observed(), testing::ElementsAre(testing::HasSubstr("who=rank1.main state=T")));
}

TEST_F(RanksTest, AGroupEndsWithItsRankWhereItIsAskedFor) {
  RanksSpec spec = job(1, "sleep 60 & echo $!");
  spec.ends_groups = true;
  Ranks ranks(spec);
  run(ranks);
  const int left = std::stoi(output_of(0));
  EXPECT_TRUE(becomes_true(5'000, [&] { return trace::process_state(left).is_gone(); }));
}

TEST_F(RanksTest, SharedOutputHasPrefixes) {
  RanksSpec spec = job(2, "echo begun; printf unfinished");
  spec.output_folder.clear();
  testing::internal::CaptureStdout();
  Ranks ranks(spec);
  run(ranks);
  const std::string text = testing::internal::GetCapturedStdout();
  EXPECT_THAT(text, testing::HasSubstr("[rank 1] begun\n"));
  EXPECT_THAT(text, testing::HasSubstr("[rank 0] unfinished\n"));
}

}  // namespace
}  // namespace batch71::launch
