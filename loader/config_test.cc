// Settings: what is read, what is refused and how, and that docs/config.md tells the truth.
#include "loader/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "trace/errors.h"

namespace batch71::loader {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class ConfigTest : public ::testing::Test {
 protected:
  void TearDown() override { fs::remove(path_); }
  Config load(const std::string& yaml) {
    std::ofstream(path_) << yaml;
    return load_config(path_);
  }
  std::string refusal(const std::string& yaml) {
    try {
      load(yaml);
    } catch (const UsageError& error) {
      return error.what();
    }
    return "accepted";
  }
  std::string path_ = fs::temp_directory_path() / ("config-" + std::to_string(getpid()) + ".yaml");
};

TEST_F(ConfigTest, ReadsWhatIsGivenAndKeepsTheOtherDefaults) {
  const Config config = load(
      "train_ds:\n  manifest_filepath: a b.json\n  batch_size: 4\n  shuffle: false\n"
      "  max_duration: 2.5\nguards:\n  item_deadline_ms: off\n  on_bad_item: rethrow\n"
      "  uneven: drop\ntrainer:\n  anything: goes here\n");
  EXPECT_EQ(config.train_ds.manifest_filepath, "a b.json");
  EXPECT_EQ(config.train_ds.batch_size, 4);
  EXPECT_FALSE(config.train_ds.shuffle);
  EXPECT_EQ(config.train_ds.max_duration, 2.5);
  EXPECT_EQ(config.train_ds.num_workers, 2);
  EXPECT_EQ(config.guards.item_deadline_ms, kGuardOffMs);
  EXPECT_EQ(config.guards.on_bad_item, OnBadItem::kRethrow);
  EXPECT_EQ(config.guards.uneven, Uneven::kDrop);
}

TEST_F(ConfigTest, RefusesUnknownNamesWithTheNearestKnownOne) {
  EXPECT_THAT(
      refusal("train_ds:\n  manifest_filepath: m\n  bach_size: 8\n"),
      AllOf(HasSubstr(path_ + ":3: "), HasSubstr("'bach_size'"), HasSubstr("'batch_size'")));
  EXPECT_THAT(refusal("train_ds:\n  manifest_filepath: m\ngards:\n  x: 1\n"),
              AllOf(HasSubstr(":3: "), HasSubstr("'guards'")));
}

TEST_F(ConfigTest, RefusesValuesThatCannotBe) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"train_ds:\n  batch_size: 0\n", ":2: train_ds.batch_size is '0'"},
      {"train_ds:\n  batch_size: 8.5\n", ":2: train_ds.batch_size"},
      {"train_ds:\n  batch_size: [8]\n", "not a single value"},
      {"train_ds:\n  shuffle: maybe\n", "expected true or false"},
      {"train_ds:\n  max_duration: .nan\n", "expected a number"},
      {"train_ds:\n  max_duration: nan\n", "expected a number"},
      {"train_ds:\n  max_duration: -1\n", "expected a number"},
      {"train_ds:\n  manifest_filepath: ''\n", "not empty"},
      {"train_ds:\n  batch_size: 8\n", "manifest_filepath is missing"},
      {"train_ds:\n  batch_size: 8\n  batch_size: 9\n", ":3: 'batch_size' is given twice"},
      {"train_ds:\n  manifest_filepath: m\n  min_duration: 5\n  max_duration: 2\n", "min_duration"},
      {"train_ds:\n  manifest_filepath: m\n  win_length: 600\n", "win_length"},
      {"train_ds:\n  manifest_filepath: m\n  noise_min_snr_db: 60\n", "noise_min_snr_db"},
      {"train_ds:\n  noise_prob: 1.5\n", "noise_prob is '1.5'; expected a number"},
      {"train_ds:\n  noise_manifest_filepath: ''\n", "not empty"},
      {"train_ds:\n  num_buckets: 1\n",
       "num_buckets is '1'; expected a whole number of at least 2"},
      {"guards:\n  item_deadline_ms: 0\n", ":2: guards.item_deadline_ms is '0'"},
      {"guards:\n  item_deadline_ms: -5\n", "`off` or whole milliseconds"},
      {"guards:\n  item_deadline_ms: 1e3\n", "`off` or whole milliseconds"},
      {"guards:\n  uneven: maybe\n", "one of: fail, pad, drop, join"},
      {"train_ds: 7\n", "not a map"},
      {"just text\n", "not a map"},
      {"train_ds: [\n", "not YAML"},
      {"", "not a map"},
  };
  for (const auto& [yaml, expected] : cases)
    EXPECT_THAT(refusal(yaml), HasSubstr(expected)) << yaml;
}

TEST_F(ConfigTest, SaysSoWhenThereIsNoFile) {
  EXPECT_THROW(load_config("/nowhere/config.yaml"), UsageError);
}

TEST_F(ConfigTest, DigestTellsSettingsApart) {
  const Config one = load("train_ds:\n  manifest_filepath: m\n");
  Config other = one;
  EXPECT_EQ(digest(one), digest(other));
  other.train_ds.seed = 1;
  EXPECT_NE(digest(one), digest(other));
}

TEST(ConfigDocs, AreGeneratedFromTheTables) {
  const std::string path = BATCH71_SOURCE_DIR "/docs/config.md";
  if (std::getenv("BATCH71_UPDATE_DOCS") != nullptr) std::ofstream(path) << describe_config();
  std::ifstream file(path);
  std::stringstream written;
  written << file.rdbuf();
  EXPECT_EQ(written.str(), describe_config())
      << path << " is out of date: run this test once with BATCH71_UPDATE_DOCS=1";
}

}  // namespace
}  // namespace batch71::loader
