// Tests of the variables that launchers set.
#include "ddp/environment.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <set>
#include <string>

#include "trace/errors.h"

namespace batch71::ddp {
namespace {

// Leaves no variable behind for the tests of real ranks.
class LaunchedRank : public ::testing::Test {
 protected:
  LaunchedRank() {
    set({{"RANK", "1"},
         {"WORLD_SIZE", "2"},
         {"MASTER_ADDR", "127.0.0.1"},
         {"MASTER_PORT", "29500"},
         {"BATCH71_RUN_DIR", "/runs/job"}});
  }
  ~LaunchedRank() override {
    for (const std::string& name : names_) unsetenv(name.c_str());
  }
  void set(const std::map<std::string, std::string>& variables) {
    for (const auto& [name, value] : variables) {
      setenv(name.c_str(), value.c_str(), 1);
      names_.insert(name);
    }
  }

 private:
  std::set<std::string> names_;
};

TEST_F(LaunchedRank, HostsItsOwnStoreAndHasOneRunFolder) {
  const Environment env = read_environment();
  EXPECT_FALSE(env.agent_hosts_store);
  EXPECT_EQ(env.restart_count, 0);
  EXPECT_EQ(env.run_folder, "/runs/job");
}

TEST_F(LaunchedRank, UnderTorchrunEveryAttemptHasARunFolderOfItsOwn) {
  set({{"TORCHELASTIC_USE_AGENT_STORE", "True"}, {"TORCHELASTIC_RESTART_COUNT", "0"}});
  EXPECT_TRUE(read_environment().agent_hosts_store);
  EXPECT_EQ(read_environment().run_folder, "/runs/job/attempt0");
  set({{"TORCHELASTIC_RESTART_COUNT", "2"}});
  EXPECT_EQ(read_environment().restart_count, 2);
  EXPECT_EQ(read_environment().run_folder, "/runs/job/attempt2");
  set({{"BATCH71_RUN_DIR", ""}});
  EXPECT_EQ(read_environment().run_folder, "");
}

TEST_F(LaunchedRank, WhatCannotBeIsRefused) {
  set({{"TORCHELASTIC_RESTART_COUNT", "one"}});
  EXPECT_THROW(read_environment(), UsageError);
}

}  // namespace
}  // namespace batch71::ddp
