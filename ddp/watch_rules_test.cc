// Tests of what the step watch decides.
#include "ddp/watch_rules.h"

#include <gtest/gtest.h>

namespace batch71::ddp {
namespace {

using trace::Stage;

loader::Guards guards() {
  loader::Guards guards;
  guards.step_deadline_ms = 100;
  guards.collective_deadline_ms = 300;
  guards.startup_deadline_ms = 900;
  return guards;
}

PeerView beating(int rank) {
  PeerView peer;
  peer.rank = rank;
  peer.beats = peer.has_beaten = true;
  return peer;
}

TEST(WatchRules, EachStageHasItsDeadline) {
  EXPECT_EQ(deadline_ms(Stage::kForward, guards(), true), 100);
  EXPECT_EQ(deadline_ms(Stage::kAllreduce, guards(), true), 300);
  EXPECT_EQ(deadline_ms(Stage::kFetch, guards(), true), std::nullopt);
}

TEST(WatchRules, ASlowStartOfAPeerIsNoSymptom) {
  EXPECT_EQ(deadline_ms(Stage::kAgree, guards(), false), 900);
  EXPECT_EQ(deadline_ms(Stage::kAgree, guards(), true), 300);
}

TEST(WatchRules, WhoWaitsBlamesAPeerWhoWorksBlamesItself) {
  EXPECT_EQ(code_when_late(Stage::kAllreduce), ExitCode::kPeerLost);
  EXPECT_EQ(code_when_late(Stage::kForward), ExitCode::kStepStuck);
}

TEST(WatchRules, WhatRanksAgreedOnEndsAllAlike) {
  EXPECT_EQ(code_after_peer(ExitCode::kErrorBudgetSpent), ExitCode::kErrorBudgetSpent);
  EXPECT_EQ(code_after_peer(ExitCode::kUsage), ExitCode::kUsage);
  EXPECT_EQ(code_after_peer(ExitCode::kCrashLoop), ExitCode::kCrashLoop);
  EXPECT_EQ(code_after_peer(ExitCode::kStepStuck), ExitCode::kPeerLost);
  EXPECT_EQ(code_after_peer(ExitCode::kItemStuck), ExitCode::kPeerLost);
}

TEST(WatchRules, AMainHoldsUpOthersOnlyInAStageOfItsOwnAndForLong) {
  EXPECT_FALSE(holds_up_others(Stage::kForward, 99, guards()));
  EXPECT_TRUE(holds_up_others(Stage::kForward, 100, guards()));
  EXPECT_FALSE(holds_up_others(Stage::kAllreduce, 10'000, guards()));
}

TEST(WatchRules, TheGraceWaitsForWhoCanStillSpeak) {
  std::vector<PeerView> peers{beating(0), beating(2)};
  EXPECT_FALSE(all_have_spoken(peers));
  peers[0].has_spoken = true;
  peers[1].beats = false;  // stopped: it has nothing to say
  EXPECT_TRUE(all_have_spoken(peers));
}

TEST(WatchRules, TheGraceWaitsForWhoHasNotBegunToBeat) {
  PeerView starting;
  EXPECT_FALSE(all_have_spoken({starting}));
  starting.has_spoken = true;
  EXPECT_TRUE(all_have_spoken({starting}));
}

TEST(WatchRules, TheGraceWaitsForHowTheDeadDied) {
  PeerView dead = beating(1);
  dead.beats = false;
  dead.is_gone = true;
  EXPECT_FALSE(all_have_spoken({dead}));
  dead.end_is_known = true;
  EXPECT_TRUE(all_have_spoken({dead}));
}

TEST(WatchRules, TheLowestRankThatBeatsSpeaks) {
  std::vector<PeerView> peers{beating(0), beating(1), beating(3)};
  EXPECT_EQ(speaker(2, peers), 0);
  peers[0].beats = false;
  EXPECT_EQ(speaker(2, peers), 1);
  peers[1].is_gone = true;
  EXPECT_EQ(speaker(2, peers), 2);
}

}  // namespace
}  // namespace batch71::ddp
