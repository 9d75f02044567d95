// Tests of how the other ranks are seen: also when files of an earlier attempt lie where theirs will be.
#include "ddp/peers.h"

#include <gmock/gmock.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <string>

#include "trace/run_folder.h"

namespace batch71::ddp {
namespace {

class PeersTest : public ::testing::Test {
 protected:
  PeersTest() {
    std::string pattern = ::testing::TempDir() + "peers-XXXXXX";
    folder_ = mkdtemp(pattern.data());
  }
  ~PeersTest() override { std::filesystem::remove_all(folder_); }

  // Rank 1, writing its traces until it is killed. Returns once they are there.
  pid_t start_rank_1() const {
    int pipe_fds[2];
    EXPECT_EQ(pipe(pipe_fds), 0);
    const pid_t pid = fork();
    if (pid == 0) {
      const trace::Writer main(folder_, {trace::Role::kMain, 1, 2});
      const trace::Writer watch(folder_, {trace::Role::kStepWatch, 1, 2});
      [[maybe_unused]] const ssize_t told = write(pipe_fds[1], "x", 1);
      poll(nullptr, 0, 10'000);
      _exit(0);
    }
    close(pipe_fds[1]);
    char told = 0;
    EXPECT_EQ(read(pipe_fds[0], &told, 1), 1);
    close(pipe_fds[0]);
    return pid;
  }
  static void end(pid_t pid) {
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
  }

  std::string folder_;
};

TEST_F(PeersTest, APeerThatDiesIsGone) {
  Peers peers(folder_, 0, 2);
  const pid_t rank_1 = start_rank_1();
  peers.look();
  EXPECT_FALSE(peers.trouble());
  end(rank_1);
  peers.look();
  ASSERT_TRUE(peers.trouble());
  EXPECT_EQ(peers.trouble()->why, "rank 1 is gone");
}

TEST_F(PeersTest, APeerThatDiedBeforeItWasLookedAtIsLookedAtAndNoLossYet) {
  const pid_t rank_1 = fork();
  if (rank_1 == 0) {
    trace::Writer main(folder_, {trace::Role::kMain, 1, 2});
    main.record(trace::Event::kStarting, trace::Stage::kSetup);
    _exit(0);
  }
  waitpid(rank_1, nullptr, 0);
  Peers peers(folder_, 0, 2);
  peers.look();
  EXPECT_FALSE(peers.trouble());
  ASSERT_EQ(peers.suspects().size(), 1u);
  EXPECT_EQ(peers.suspects()[0].stage, trace::Stage::kSetup);
}

TEST_F(PeersTest, FilesOfAnEarlierAttemptAreNotThePeer) {
  end(start_rank_1());
  Peers peers(folder_, 0, 2);
  peers.look();  // too early: the former ones are still there
  EXPECT_FALSE(peers.trouble());
  trace::set_aside(folder_, 1);
  const pid_t rank_1 = start_rank_1();
  peers.look();
  EXPECT_FALSE(peers.trouble());
  end(rank_1);
  peers.look();
  ASSERT_TRUE(peers.trouble());
  EXPECT_EQ(peers.trouble()->why, "rank 1 is gone");
}

}  // namespace
}  // namespace batch71::ddp
