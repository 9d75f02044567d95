// Cells: what is seen inside, what is found at the end, and every way to end one.
#include "launch/cell.h"

#include <gmock/gmock.h>
#include <signal.h>

#include <filesystem>
#include <fstream>

#include "launch/mark.h"

namespace batch71::launch {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class CellTest : public testing::Test {
 protected:
  CellTest() {
    std::string pattern = "/tmp/cell_test.XXXXXX";
    folder_ = mkdtemp(pattern.data());
  }
  ~CellTest() override { fs::remove_all(folder_); }

  void SetUp() override {
    if (const std::string missing = cell_support().missing; !missing.empty()) {
      GTEST_SKIP() << "cells need " << missing;
    }
  }

  CellSpec job(const std::string& script) const {
    CellSpec spec;
    spec.case_folder = folder_;
    spec.ranks.argv = {"sh", "-c", script};
    spec.ranks.run_folder = folder_;
    spec.ranks.output_folder = folder_;
    spec.ranks.deadline_ms = 20'000;
    spec.leftover_grace_ms = 300;
    return spec;
  }
  HelperSpec helper(const std::string& script) const {
    HelperSpec spec;
    spec.name = "helper";
    spec.argv = {"sh", "-c", script};
    return spec;
  }
  std::string output() const {
    std::string text;
    std::getline(std::ifstream(folder_ + "/rank0.log"), text, '\0');
    return text;
  }

  std::string folder_;
};

TEST_F(CellTest, CleanJobLeavesNothing) {
  const CellResult result = run_cell(job("exit 20"));
  EXPECT_EQ(result.error, "");
  EXPECT_EQ(result.reason, "rank_failed");
  ASSERT_EQ(result.ranks.size(), 1u);
  EXPECT_EQ(result.ranks[0].exit_code, 20);
  EXPECT_TRUE(result.leftovers.empty()) << to_json(result);
}

TEST_F(CellTest, SeesOnlyItself) {
  std::ofstream("/dev/shm/cell_test.outside") << "x";
  const CellResult result = run_cell(job("cat /proc/1/comm; ls /dev/shm; grep -c : /proc/net/dev"));
  fs::remove("/dev/shm/cell_test.outside");
  EXPECT_EQ(result.error, "");
  EXPECT_THAT(output(), "batch71-cell\n1\n");
}

TEST_F(CellTest, EverythingLeftBehindIsNamed) {
  const CellResult result =
      run_cell(job("setsid sleep 60 & echo x > /dev/shm/segment; mkdir /tmp/rest; "
                   "mount -t tmpfs none /mnt"));
  EXPECT_THAT(result.leftovers.processes, ElementsAre(HasSubstr("name=sleep state=S")));
  EXPECT_THAT(result.leftovers.files, ElementsAre("/dev/shm/segment", "/tmp/rest"));
  EXPECT_THAT(result.leftovers.mounts, ElementsAre("/mnt"));
  EXPECT_FALSE(fs::exists("/dev/shm/segment"));
}

TEST_F(CellTest, HelpersAreReadyBeforeTheRanksAndReleasedAfterThem) {
  CellSpec spec = job("cat told");
  spec.ranks.working_folder = folder_;
  spec.helpers = {helper("echo told > told; eval \"echo ready >&$READY_FD\"; exec sleep 60")};
  const CellResult result = run_cell(spec);
  EXPECT_EQ(output(), "told\n");
  ASSERT_EQ(result.helpers.size(), 1u);
  EXPECT_TRUE(result.helpers[0].was_ready);
  EXPECT_EQ(result.helpers[0].signal, SIGTERM);
  EXPECT_GE(result.ranks[0].start_monotonic_ns, result.helpers[0].ready_monotonic_ns);
  EXPECT_GE(result.helpers[0].end_monotonic_ns, result.ranks[0].end_monotonic_ns);
  EXPECT_TRUE(result.leftovers.empty()) << to_json(result);
}

TEST_F(CellTest, HelperThatIsNeverReadyIsAnError) {
  CellSpec spec = job("true");
  spec.helpers = {helper("exit 1")};
  const CellResult result = run_cell(spec);
  EXPECT_THAT(result.error, HasSubstr("helper helper did not become ready"));
  EXPECT_THAT(result.ranks, IsEmpty());
}

TEST_F(CellTest, HelperIsReleasedInTimeWhileTheRanksRun) {
  CellSpec spec = job("while [ ! -e released ]; do sleep 0.01; done");
  spec.ranks.working_folder = folder_;
  spec.helpers = {
      helper("trap 'touch released; exit 0' TERM; eval \"echo >&$READY_FD\"; "
             "while :; do sleep 0.01; done")};
  spec.helpers[0].release_after_ms = 50;
  const CellResult result = run_cell(spec);
  EXPECT_EQ(result.reason, "all_ended");
  EXPECT_EQ(result.helpers[0].exit_code, 0);
}

TEST_F(CellTest, EndsWhenAsked) {
  Cell cell(job("exec sleep 60"));
  EXPECT_FALSE(cell.wait(50));
  cell.end_now();
  ASSERT_TRUE(cell.wait(5'000));
  const CellResult result = cell.result();
  EXPECT_EQ(result.reason, "stopped");
  EXPECT_TRUE(result.leftovers.empty()) << to_json(result);
}

TEST_F(CellTest, MountsAreSeenInside) {
  fs::create_directory(folder_ + "/data");
  std::ofstream(folder_ + "/data/file") << "content\n";
  CellSpec spec = job("cat /tmp/elsewhere/data/file; touch /tmp/elsewhere/data/file 2>&1");
  spec.mounts = {{folder_ + "/data", "/tmp/elsewhere/data", true}};
  const CellResult result = run_cell(spec);
  EXPECT_EQ(result.error, "");
  EXPECT_THAT(output(), testing::StartsWith("content\n"));
  EXPECT_THAT(output(), HasSubstr("Read-only"));
  EXPECT_TRUE(result.leftovers.empty()) << to_json(result);
}

TEST_F(CellTest, DestructorEndsIt) {
  std::string cgroup;
  {
    Cell cell(job("exec sleep 60"));
    std::string why;
    for (const auto& entry : fs::directory_iterator(cgroup_root(&why))) {
      if (entry.path().filename().string().starts_with(mark_of(getpid()))) cgroup = entry.path();
    }
  }
  EXPECT_NE(cgroup, "");
  EXPECT_FALSE(fs::exists(cgroup));
}

TEST_F(CellTest, SpecSurvivesJson) {
  CellSpec spec = job("true");
  spec.helpers = {helper("x")};
  spec.mounts = {{"/a", "/b", true}};
  spec.ranks.rank_env = {{}, {{"K", "V"}}};
  std::ofstream(folder_ + "/spec.json") << to_json(spec);
  EXPECT_EQ(to_json(read_cell_spec(folder_ + "/spec.json")), to_json(spec));
}

}  // namespace
}  // namespace batch71::launch
