// Processes: how they end, how they are stopped, what they inherit.
#include "launch/process.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "trace/errors.h"

namespace batch71::launch {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

ProcessSpec shell(const std::string& script) {
  ProcessSpec spec;
  spec.argv = {"sh", "-c", script};
  return spec;
}

// Starts a script and waits until it has printed a line, so that its traps are set.
struct Talker {
  Child child;
  UniqueFd output;
};
Talker start_talker(const std::string& script) {
  int ends[2];
  EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd theirs(ends[1]);
  Talker out;
  out.output = UniqueFd(ends[0]);
  ProcessSpec spec = shell(script);
  spec.output_fd = theirs.get();
  out.child = start_process(spec);
  EXPECT_TRUE(wait_readable(out.output.get(), deadline_after_ms(5'000)));
  return out;
}

TEST(Process, TellsHowItEnded) {
  EXPECT_EQ(start_process(shell("exit 3")).wait(5'000)->exit_code(), 3);
  const std::optional<Ending> killed = start_process(shell("kill -9 $$")).wait(5'000);
  EXPECT_EQ(killed->signal(), SIGKILL);
  EXPECT_EQ(killed->exit_code(), -1);
}

TEST(Process, WaitGivesUpAtItsDeadline) {
  Child child = start_process(shell("exec sleep 60"));
  const uint64_t start_ns = trace::monotonic_ns();
  EXPECT_FALSE(child.wait(50));
  EXPECT_GE(trace::monotonic_ns() - start_ns, 50 * kNsPerMs);
}

TEST(Process, ProgramThatIsNotThereIsAnError) {
  ProcessSpec spec;
  spec.argv = {"/no/such/program"};
  EXPECT_THROW(start_process(spec), UsageError);
  spec.argv = {"no-such-program-in-path"};
  EXPECT_THROW(start_process(spec), UsageError);
}

TEST(Process, WhatIsNoProgramIsAnErrorWithItsRemedy) {
  std::string path = testing::TempDir() + "no-program-XXXXXX";
  UniqueFd(mkstemp(path.data())).reset();
  std::ofstream(path) << "echo no shell is named\n";
  ProcessSpec spec;
  spec.argv = {path};
  const auto refusal = [&](auto substring) {
    return ThrowsMessage<UsageError>(AllOf(HasSubstr(path), HasSubstr(substring)));
  };
  EXPECT_THAT([&] { start_process(spec); }, refusal("name an executable file"));
  std::filesystem::permissions(path, std::filesystem::perms::owner_all);
  EXPECT_THAT([&] { start_process(spec); }, refusal("a script begins with #!"));
  std::filesystem::remove(path);
}

TEST(Process, StopAsksFirst) {
  Talker talker = start_talker("trap 'exit 7' TERM; echo set; while :; do sleep 0.01; done");
  EXPECT_EQ(talker.child.stop(5'000, 5'000), StopResult::kEnded);
  EXPECT_EQ(talker.child.ending()->exit_code(), 7);
}

TEST(Process, StopKillsWhatIgnoresTheAsking) {
  Talker talker = start_talker("trap '' TERM; echo set; while :; do sleep 0.01; done");
  EXPECT_EQ(talker.child.stop(50, 5'000), StopResult::kEnded);
  EXPECT_EQ(talker.child.ending()->signal(), SIGKILL);
}

TEST(Process, StopKillsWhatIsStopped) {
  // It must have stopped before it is asked: of two pending signals SIGTERM would come first.
  Talker talker = start_talker(
      "(until grep -q '^State:.T' /proc/$$/status; do sleep 0.01; done; echo stopped) & "
      "kill -STOP $$");
  EXPECT_EQ(talker.child.stop(50, 5'000), StopResult::kEnded);
  EXPECT_EQ(talker.child.ending()->signal(), SIGKILL);
}

TEST(Process, DestructorKillsAndReaps) {
  pid_t pid = 0;
  {
    const Child child = start_process(shell("exec sleep 60"));
    pid = child.pid();
  }
  EXPECT_EQ(kill(pid, 0), -1);
  EXPECT_EQ(errno, ESRCH);
}

TEST(Process, EnvironmentReplacesAndAddsAndFolderIsSet) {
  setenv("BATCH71_TEST_KEY", "old", 1);
  const std::string path = testing::TempDir() + "/process_test." + std::to_string(getpid());
  ProcessSpec spec;
  spec.argv = {"sh", "-c", "tr '\\0' '\\n' < /proc/$$/environ | grep BATCH71_TEST; pwd"};
  spec.env = {{"BATCH71_TEST_KEY", "new"}, {"BATCH71_TEST_OTHER", "added"}};
  spec.working_folder = "/usr";
  spec.output_path = path;
  EXPECT_EQ(start_process(spec).wait(5'000)->exit_code(), 0);
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  EXPECT_EQ(text.str(), "BATCH71_TEST_KEY=new\nBATCH71_TEST_OTHER=added\n/usr\n");
  unlink(path.c_str());
}

}  // namespace
}  // namespace batch71::launch
