// The step watch: it ends a rank whose stage takes too long, and counts no pause of the whole rank.
#include "ddp/step_watch.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <utility>

namespace batch71::ddp {
namespace {

using trace::Stage;

constexpr int kDeadlineMs = 300;

loader::Guards guards() {
  loader::Guards guards;
  guards.startup_deadline_ms = guards.step_deadline_ms = guards.collective_deadline_ms =
      kDeadlineMs;
  guards.verdict_grace_ms = guards.shutdown_deadline_ms = kDeadlineMs / 2;
  return guards;
}

constexpr int kForEverMs = 10'000;
void block() { poll(nullptr, 0, kForEverMs); }

// A process whose only thread of its own is `main`, under a watch; it exits with 0 after that.
pid_t start_rank(const std::function<void(StepWatch&)>& main, const Environment& env = {},
                 const StepWatch::Seams& seams = {}) {
  const pid_t pid = fork();
  if (pid != 0) return pid;
  {
    StepWatch watch(env, guards(), seams);
    main(watch);
  }
  _exit(0);
}

int exit_code(pid_t pid) {
  int status = 0;
  waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(StepWatchTest, AStageThatTakesTooLongEndsTheRank) {
  for (const auto& [stage, code] : {std::pair(Stage::kSetup, ExitCode::kPeerLost),
                                    std::pair(Stage::kAgree, ExitCode::kPeerLost),
                                    std::pair(Stage::kForward, ExitCode::kStepStuck),
                                    std::pair(Stage::kShutdown, ExitCode::kFailure)}) {
    const Stage in = stage;
    const pid_t rank = start_rank([in](StepWatch& watch) {
      watch.under_way();
      watch.enter(in, {});
      block();
    });
    EXPECT_EQ(exit_code(rank), static_cast<int>(code)) << trace::name(stage);
  }
}

TEST(StepWatchTest, APauseOfTheWholeRankIsNoDelay) {
  constexpr int kPauseMs = 3 * kDeadlineMs;
  constexpr int kLooksMs = kDeadlineMs / 3;  // several turns of the watch
  const pid_t rank = start_rank([](StepWatch& watch) {
    watch.enter(Stage::kForward, {});
    poll(nullptr, 0, kLooksMs);
    raise(SIGSTOP);
    poll(nullptr, 0, kLooksMs);
  });
  int status = 0;
  waitpid(rank, &status, WUNTRACED);
  ASSERT_TRUE(WIFSTOPPED(status));
  poll(nullptr, 0, kPauseMs);
  kill(rank, SIGCONT);
  EXPECT_EQ(exit_code(rank), 0);
}

// What a user's function does is not known.
TEST(StepWatchTest, AVerdictThatDoesNotComeKeepsNobody) {
  Environment env;
  env.run_folder = ::testing::TempDir();  // where on_stuck would look; there are no traces
  const auto stand_in_forward = [](StepWatch& watch) {
    watch.enter(Stage::kForward, {});
    block();
  };
  StepWatch::Seams seams;
  seams.on_stuck = [](const std::string&) {
    for (;;) block();
    return std::string();
  };
  EXPECT_EQ(exit_code(start_rank(stand_in_forward, env, seams)),
            static_cast<int>(ExitCode::kStepStuck));
  seams.on_stuck = [](const std::string&) -> std::string { throw 71; };
  EXPECT_EQ(exit_code(start_rank(stand_in_forward, env, seams)),
            static_cast<int>(ExitCode::kStepStuck));
}

TEST(StepWatchTest, AWatchThatStandsStillKeepsNobody) {
  StepWatch::Seams seams;
  seams.stop_requested = [] {
    for (;;) block();
    return false;
  };
  const auto leave = [](StepWatch& watch) { watch.leave(ExitCode::kNonFiniteLoss, "loss"); };
  EXPECT_EQ(exit_code(start_rank(leave, {}, seams)), static_cast<int>(ExitCode::kNonFiniteLoss));
}

}  // namespace
}  // namespace batch71::ddp
