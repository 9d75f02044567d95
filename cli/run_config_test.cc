// What a run refuses before it starts anybody.
#include "cli/run_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "trace/errors.h"

namespace batch71::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

TEST(CheckData, RefusesFeaturesThatNobodyRegistered) {
  std::string folder = std::filesystem::temp_directory_path() / "batch71-run-config-XXXXXX";
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  std::ofstream(folder + "/train.json") << R"({"audio_filepath":"a.wav","duration":1.0})"
                                        << "\n";
  const auto check = [&](const std::string& features) {
    std::ofstream(folder + "/train.yaml") << "train_ds:\n  manifest_filepath: " << folder
                                          << "/train.json\n  features: " << features << "\n";
    check_data(folder + "/train.yaml", 1);
  };
  EXPECT_NO_THROW(check("waveform"));
  EXPECT_THAT([&] { check("mfcc"); }, ThrowsMessage<UsageError>(HasSubstr("called 'mfcc'")));
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace batch71::cli
