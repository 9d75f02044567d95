// A gate that is killed while a reader is in state D: nothing of it may be there 5 s later.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "launch/becomes_true_test_util.h"
#include "launch/cell.h"
#include "launch/keeper.h"
#include "launch/mark.h"
#include "trace/process_state.h"

namespace batch71::faults {
namespace {

namespace fs = std::filesystem;
using launch::becomes_true;

// What the gate tells of itself once its strike is live.
struct GateReport {
  int cell_pid = 0;
  int keeper_pid = 0;
};

std::string strike_log(const std::string& folder) { return folder + "/strikes.jsonl"; }

launch::CellSpec deaf_job(const std::string& folder) {
  fs::create_directories(folder + "/corpus");
  std::ofstream(folder + "/corpus/a.wav") << "sound";
  std::ofstream(folder + "/rules.json")
      << R"([{"path":"a.wav","op":"read","action":"block_deaf"}])";
  launch::CellSpec spec;
  spec.case_folder = folder;
  spec.ranks.argv = {"cat", folder + "/corpus/a.wav"};
  spec.ranks.output_folder = folder;
  spec.ranks.deadline_ms = 60'000;
  launch::HelperSpec& server = spec.helpers.emplace_back();
  server.name = "files";
  server.argv = {launch::sibling_program("corpusfs"),
                 "--folder",
                 folder + "/corpus",
                 "--rules",
                 folder + "/rules.json",
                 "--strikes",
                 strike_log(folder)};
  return spec;
}

bool is_gone(int pid) { return trace::process_state(pid).is_gone(); }

bool has_cgroup_of(const std::string& mark) {
  std::string why;
  for (const auto& entry : fs::directory_iterator(launch::cgroup_root(&why))) {
    if (entry.path().filename().string().starts_with(mark)) return true;
  }
  return false;
}

std::string mounts() {
  std::stringstream text;
  text << std::ifstream("/proc/self/mountinfo").rdbuf();
  return text.str();
}

class GateDeath : public testing::Test {
 protected:
  void SetUp() override {
    if (const std::string missing = launch::cell_support().missing_fuse; !missing.empty()) {
      GTEST_SKIP() << "cells with a file server need " << missing;
    }
    folder_ = "/tmp/" + launch::next_marked_name();
    mounts_before_ = mounts();
    start_gate();
    mark_ = launch::mark_of(gate_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  void start_gate() {
    int ends[2];
    ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
    const launch::UniqueFd from_gate(ends[0]);
    launch::UniqueFd to_test(ends[1]);
    gate_ = fork();
    ASSERT_GE(gate_, 0);
    if (gate_ == 0) be_the_gate(to_test.get());
    to_test.reset();
    ASSERT_TRUE(launch::wait_readable(from_gate.get(), launch::deadline_after_ms(20'000)));
    ASSERT_EQ(read(from_gate.get(), &report_, sizeof report_), ssize_t{sizeof report_});
  }

  [[noreturn]] void be_the_gate(int to_test) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    launch::Keeper keeper;
    keeper.remove_at_end(folder_);
    launch::Cell cell(deaf_job(folder_), &keeper);
    becomes_true(10'000, [&] {
      return fs::exists(strike_log(folder_)) && fs::file_size(strike_log(folder_)) > 0;
    });
    const GateReport report{cell.pid(), keeper.pid()};
    (void)!write(to_test, &report, sizeof report);
    while (true) pause();
  }

  void kill_gate() {
    ASSERT_FALSE(is_gone(report_.cell_pid));
    ASSERT_TRUE(has_cgroup_of(mark_));
    kill(gate_, SIGKILL);
    waitpid(gate_, nullptr, 0);
  }

  std::string folder_;
  std::string mounts_before_;
  std::string mark_;
  pid_t gate_ = -1;
  GateReport report_;
};

TEST_F(GateDeath, LeavesNothing) {
  kill_gate();
  // Pid 1 of a pid namespace is gone only after all the others are.
  EXPECT_TRUE(becomes_true(5'000, [&] {
    return is_gone(report_.cell_pid) && is_gone(report_.keeper_pid) && !has_cgroup_of(mark_) &&
           !fs::exists(folder_);
  }));
  EXPECT_EQ(mounts(), mounts_before_);
}

TEST_F(GateDeath, WithoutItsKeeperStillEndsItsCell) {
  kill(report_.keeper_pid, SIGKILL);
  EXPECT_TRUE(becomes_true(5'000, [&] { return is_gone(report_.keeper_pid); }));
  kill_gate();
  EXPECT_TRUE(becomes_true(5'000, [&] { return is_gone(report_.cell_pid); }));
  // Names are all that is left; the next keeper removes them at its start.
  const launch::Keeper next;
  EXPECT_FALSE(has_cgroup_of(mark_));
  EXPECT_EQ(mounts(), mounts_before_);
}

}  // namespace
}  // namespace batch71::faults
