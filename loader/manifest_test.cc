// Manifests: what is read, what is refused with file and line, and that later changes do not matter.
#include "loader/manifest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "loader/registry.h"
#include "trace/errors.h"

namespace batch71::loader {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class ManifestTest : public ::testing::Test {
 protected:
  void SetUp() override { fs::create_directories(folder_); }
  void TearDown() override { fs::remove_all(folder_); }
  Manifest load(const std::string& lines, const ManifestLimits& limits = {}) {
    std::ofstream(path_) << lines;
    return Manifest(path_, limits);
  }
  std::string refusal(const std::string& lines) {
    try {
      load(lines);
    } catch (const UsageError& error) {
      return error.what();
    }
    return "accepted";
  }
  const std::string folder_ = fs::temp_directory_path() / ("manifest-" + std::to_string(getpid()));
  const std::string path_ = folder_ + "/m.json";
};

TEST_F(ManifestTest, ReadsPathsSegmentsAndLabels) {
  const Manifest manifest = load(
      "{\"audio_filepath\": \"a/b c.wav\", \"duration\": 1.5, \"label\": \"ru\", \"text\": "
      "\"x\"}\n\n"
      "{\"audio_filepath\": \"/d.wav\", \"duration\": 2, \"offset\": 0.25, \"label\": \"en\"}\n"
      "{\"audio_filepath\": \"e.wav\", \"duration\": 3}\n");
  ASSERT_EQ(manifest.size(), 3);
  EXPECT_EQ(manifest.audio_path(0), folder_ + "/a/b c.wav");
  EXPECT_EQ(manifest.audio_path(1), "/d.wav");
  EXPECT_EQ(manifest.duration_s(0), 1.5);
  EXPECT_FALSE(manifest.has_offset(0));
  EXPECT_EQ(manifest.offset_s(1), 0.25);
  EXPECT_EQ(manifest.num_labels(), 2);
  EXPECT_EQ(manifest.label(0), 1);
  EXPECT_EQ(manifest.label(1), 0);
  EXPECT_EQ(manifest.label(2), -1);
}

TEST_F(ManifestTest, LeavesOutWhatIsTooLongOrTooShort) {
  const std::string lines =
      "{\"audio_filepath\": \"a\", \"duration\": 0.5}\n{\"audio_filepath\": \"b\", \"duration\": "
      "1}\n"
      "{\"audio_filepath\": \"c\", \"duration\": 9}\n";
  const Manifest manifest = load(lines, {0.6, 5});
  ASSERT_EQ(manifest.size(), 1);
  EXPECT_EQ(manifest.audio_path(0), folder_ + "/b");
  EXPECT_THROW(load(lines, {20, 30}), UsageError);
}

TEST_F(ManifestTest, RefusesBadLinesWithTheirPlace) {
  const std::string good = "{\"audio_filepath\": \"a\", \"duration\": 1}\n";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"nonsense", "not JSON"},
      {"[1]", "not a JSON object"},
      {"{\"duration\": 1}", "audio_filepath is missing"},
      {"{\"audio_filepath\": \"\", \"duration\": 1}", "audio_filepath is missing"},
      {"{\"audio_filepath\": \"a\"}", "duration is missing"},
      {"{\"audio_filepath\": \"a\", \"duration\": \"1\"}", "duration is not a number"},
      {"{\"audio_filepath\": \"a\", \"duration\": 0}", "above 0"},
      {"{\"audio_filepath\": \"a\", \"duration\": -1}", "above 0"},
      {"{\"audio_filepath\": \"a\", \"duration\": NaN}", "not JSON"},
      {"{\"audio_filepath\": \"a\", \"duration\": 1e999}", "not JSON"},
      {"{\"audio_filepath\": \"a\", \"duration\": 1, \"offset\": -1}", "offset"},
      {"{\"audio_filepath\": \"a\", \"duration\": 1, \"label\": [1]}", "label"},
  };
  for (const auto& [line, expected] : cases) {
    EXPECT_THAT(refusal(good + line + "\n"), AllOf(HasSubstr(path_ + ":2: "), HasSubstr(expected)))
        << line;
  }
  EXPECT_THAT(refusal(""), HasSubstr("no sample"));
  EXPECT_THROW(Manifest("/nowhere.json", {}), UsageError);
  EXPECT_THROW(Manifest(folder_, {}), UsageError);
}

TEST_F(ManifestTest, AChangedFileChangesNothing) {
  const Manifest manifest = load("{\"audio_filepath\": \"a\", \"duration\": 1}\n");
  fs::resize_file(path_, 0);
  EXPECT_EQ(manifest.audio_path(0), folder_ + "/a");
}

TEST_F(ManifestTest, OnlyAShardMayBeEmpty) {
  std::ofstream(folder_ + "/s0.json")
      << "{\"audio_filepath\": \"a.wav\", \"duration\": 9, \"label\": \"en\"}\n";
  std::ofstream(folder_ + "/s1.json")
      << "{\"audio_filepath\": \"a.wav\", \"duration\": 1, \"label\": \"en\"}\n";
  Config config;
  config.train_ds.max_duration = 5;
  config.train_ds.manifest_filepath = folder_ + "/s0.json";
  EXPECT_THAT([&] { manifest_dataset_factory(config, 0); },
              ::testing::ThrowsMessage<UsageError>(
                  AllOf(HasSubstr("s0.json"), HasSubstr("no sample"), HasSubstr("max_duration"))));
  config.train_ds.manifest_filepath = folder_ + "/s{rank}.json";
  const auto empty = manifest_dataset_factory(config, 0)();
  EXPECT_EQ(empty->size(), 0);
  // Of what is left out the labels still count, so that the ranks agree on the classes.
  EXPECT_EQ(empty->digest(), manifest_dataset_factory(config, 1)()->digest());
}

TEST_F(ManifestTest, ShardsAreNamedByRankAndAgreeOnLabelsOnly) {
  for (const int rank : {0, 1}) {
    std::ofstream(folder_ + "/s" + std::to_string(rank) + ".json")
        << "{\"audio_filepath\": \"" << rank << ".wav\", \"duration\": 1, \"label\": \"en\"}\n";
  }
  Config config;
  config.train_ds.manifest_filepath = folder_ + "/s{rank}.json";
  const auto first = manifest_dataset_factory(config, 0)();
  const auto second = manifest_dataset_factory(config, 1)();
  EXPECT_EQ(second->file(0), folder_ + "/1.wav");
  EXPECT_EQ(first->digest(), second->digest());
  EXPECT_NE(first->shard_digest(), second->shard_digest());
}

TEST_F(ManifestTest, OnlyShardsThatHoldTheSameAreCalledTheSame) {
  for (const int rank : {0, 1}) {
    std::ofstream(folder_ + "/s" + std::to_string(rank) + ".json")
        << "{\"audio_filepath\": \"a.wav\", \"duration\": 3}\n";
  }
  Config config;
  const auto shard_digest = [&](const std::string& manifest, int rank) {
    config.train_ds.manifest_filepath = folder_ + manifest;
    return manifest_dataset_factory(config, rank)()->shard_digest();
  };
  EXPECT_NE(shard_digest("/s{rank}.json", 0), 0u);
  EXPECT_EQ(shard_digest("/s{rank}.json", 0), shard_digest("/s{rank}.json", 1));
  EXPECT_EQ(shard_digest("/s0.json", 0), 0u) << "it is dealt out";
  const std::string more = "{\"audio_filepath\": \"b.wav\", \"duration\": 3}\n";
  std::ofstream(folder_ + "/s0.json", std::ios::app) << more;
  EXPECT_NE(shard_digest("/s{rank}.json", 0), shard_digest("/s{rank}.json", 1));
  std::ofstream(folder_ + "/s1.json")
      << more << "{\"audio_filepath\": \"a.wav\", \"duration\": 3}\n";
  EXPECT_EQ(shard_digest("/s{rank}.json", 0), shard_digest("/s{rank}.json", 1))
      << "the order does not count";
  config.train_ds.max_duration = 2;
  EXPECT_EQ(shard_digest("/s{rank}.json", 0), 0u) << "it is empty";
}

}  // namespace
}  // namespace batch71::loader
