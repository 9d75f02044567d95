// Tests of the folder that a checkpoint lies in: the old one or the new one, and who has it.
#include "ddp/checkpoint_folder.h"

#include <gmock/gmock.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "trace/errors.h"

namespace batch71::ddp {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::ThrowsMessage;

class CheckpointFolderTest : public ::testing::Test {
 protected:
  CheckpointFolderTest() {
    std::string pattern = ::testing::TempDir() + "checkpoint-XXXXXX";
    root_ = mkdtemp(pattern.data());
    folder_ = root_ + "/made/by/itself";
  }
  ~CheckpointFolderTest() override { fs::remove_all(root_); }

  static Checkpoint with(const std::string& weights) {
    Checkpoint checkpoint;
    checkpoint.weights = weights;
    return checkpoint;
  }
  std::string weights_found() const {
    return decode(CheckpointFolder(folder_, 0).found(), "here").weights;
  }

  std::string root_;
  std::string folder_;
};

TEST_F(CheckpointFolderTest, HoldsTheNewest) {
  EXPECT_THAT(CheckpointFolder(folder_, 0).found(), IsEmpty());
  {
    CheckpointFolder folder(folder_, 0);
    folder.write(with("first"));
    folder.write(with("second"));
  }
  EXPECT_EQ(weights_found(), "second");
  EXPECT_FALSE(fs::exists(folder_ + "/checkpoint.partial"));
}

TEST_F(CheckpointFolderTest, AWriteThatFailsLeavesTheFormerOne) {
  const pid_t child = fork();
  if (child == 0) {
    CheckpointFolder folder(folder_, 0);
    folder.write(with("former"));
    constexpr rlimit kBytes{1'000, 1'000};
    setrlimit(RLIMIT_FSIZE, &kBytes);
    signal(SIGXFSZ, SIG_IGN);
    try {
      folder.write(with(std::string(2'000, 'x')));
    } catch (const std::runtime_error&) {
      _exit(7);
    }
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 7);
  EXPECT_EQ(weights_found(), "former");
}

TEST_F(CheckpointFolderTest, APartialFileOfAnEarlierAttemptIsRemovedAndNamed) {
  EXPECT_THAT(CheckpointFolder(folder_, 0).removed(), IsEmpty());
  std::ofstream(folder_ + "/checkpoint.partial") << "half of";
  EXPECT_EQ(CheckpointFolder(folder_, 0).removed(), folder_ + "/checkpoint.partial");
  EXPECT_FALSE(fs::exists(folder_ + "/checkpoint.partial"));
}

TEST_F(CheckpointFolderTest, IsHadByOneAtATimeAndFreeWhenThatOneEnds) {
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t child = fork();
  if (child == 0) {
    const CheckpointFolder theirs(folder_, 0);
    [[maybe_unused]] const ssize_t told = write(ready[1], "x", 1);
    pause();
    _exit(0);
  }
  char told = 0;
  ASSERT_EQ(read(ready[0], &told, 1), 1);
  EXPECT_THAT([&] { CheckpointFolder(folder_, 20); },
              ThrowsMessage<UsageError>(HasSubstr("(pid " + std::to_string(child) + ")")));
  kill(child, SIGKILL);
  EXPECT_NO_THROW(CheckpointFolder(folder_, 10'000));  // it may still be ending
  waitpid(child, nullptr, 0);
  close(ready[0]);
  close(ready[1]);
}

}  // namespace
}  // namespace batch71::ddp
