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
  guards.shutdown_deadline_ms = kDeadlineMs / 2;
  return guards;
}

// A process whose only thread of its own is `main`, under a watch; it exits with 0 after that.
pid_t start_rank(const std::function<void(StepWatch&)>& main) {
  const pid_t pid = fork();
  if (pid != 0) return pid;
  {
    StepWatch watch(Environment{}, guards(), {});
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
  constexpr int kForEverMs = 10'000;
  for (const auto& [stage, code] : {std::pair(Stage::kSetup, ExitCode::kPeerLost),
                                    std::pair(Stage::kAgree, ExitCode::kPeerLost),
                                    std::pair(Stage::kForward, ExitCode::kStepStuck),
                                    std::pair(Stage::kShutdown, ExitCode::kFailure)}) {
    const Stage in = stage;
    const pid_t rank = start_rank([in](StepWatch& watch) {
      watch.under_way();
      watch.enter(in, {});
      poll(nullptr, 0, kForEverMs);
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

}  // namespace
}  // namespace batch71::ddp
