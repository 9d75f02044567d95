// The `trainer:` section: docs/trainer.md tells the truth, and every setting is agreed upon.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>

#include "ddp/job.h"

namespace batch71::ddp {
namespace {

// To renew the file: run this test with BATCH71_UPDATE_DOCS=1.
TEST(TrainerDocs, AreGeneratedFromTheTable) {
  const char* path = BATCH71_SOURCE_DIR "/docs/trainer.md";
  if (std::getenv("BATCH71_UPDATE_DOCS") != nullptr) std::ofstream(path) << describe_trainer();
  std::ifstream file(path);
  const std::string written{std::istreambuf_iterator<char>(file), {}};
  EXPECT_EQ(written, describe_trainer());
}

TEST(TrainerDigest, TellsSettingsApart) {
  const Trainer one;
  Trainer other = one;
  EXPECT_EQ(digest(one), digest(other));
  other.accumulate_grad_batches = 2;
  EXPECT_NE(digest(one), digest(other));
  other = one;
  other.lr += 1e-9;
  EXPECT_NE(digest(one), digest(other));
}

}  // namespace
}  // namespace batch71::ddp
