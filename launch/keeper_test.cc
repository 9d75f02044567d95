// The keeper in peace: folders, and what dead gates left; its hour is gate_death_test.cc.
#include "launch/keeper.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "launch/cgroup.h"
#include "launch/mark.h"

namespace batch71::launch {
namespace {

namespace fs = std::filesystem;

TEST(Keeper, RemovesTemporaryFoldersButThoseToBeKept) {
  std::string removed, kept;
  {
    Keeper keeper;
    removed = keeper.make_temporary_folder("/tmp");
    kept = keeper.make_temporary_folder("/tmp");
    keeper.keep_folder(kept);
  }
  EXPECT_FALSE(fs::exists(removed));
  EXPECT_TRUE(fs::exists(kept));
  fs::remove_all(kept);
}

TEST(Keeper, SweepsWhatDeadGatesLeft) {
  // The first process of this namespace began at another time: that gate is dead.
  const std::string mark = mark_of(1);
  const std::string stale = "/tmp/" + mark.substr(0, mark.rfind('-', mark.size() - 2)) + "-1-0";
  fs::create_directory(stale);
  const std::string live = "/tmp/" + next_marked_name();
  fs::create_directory(live);
  { const Keeper keeper; }
  EXPECT_FALSE(fs::exists(stale));
  EXPECT_TRUE(fs::exists(live));
  fs::remove_all(live);
}

TEST(Keeper, SweepsCgroupsOfDeadGates) {
  std::string why;
  const std::string root = cgroup_root(&why);
  if (root.empty()) GTEST_SKIP() << "no cgroup can be made here: " << why;
  const std::string mark = mark_of(1);
  const std::string stale = root + "/" + mark.substr(0, mark.rfind('-', mark.size() - 2)) + "-1-0";
  fs::create_directory(stale);
  const Cgroup live = Cgroup::create();
  { const Keeper keeper; }
  EXPECT_FALSE(fs::exists(stale));
  EXPECT_TRUE(fs::exists(live.path()));
}

TEST(Mark, OnlyDeadProcessesOfThisNamespaceAreStale) {
  EXPECT_FALSE(is_stale(next_marked_name()));
  EXPECT_FALSE(is_stale("batch71-1-99999999-1-0"));
  EXPECT_FALSE(is_stale("something else"));
  const std::string mine = mark_of(getpid());
  EXPECT_TRUE(is_stale(mine.substr(0, mine.rfind('-', mine.size() - 2)) + "-5-0"));
}

}  // namespace
}  // namespace batch71::launch
