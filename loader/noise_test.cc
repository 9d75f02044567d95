// Noise: drawn from (seed, epoch, index) alone, mixed at the SNR that is wanted, checked as audio is.
#include "loader/noise.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <set>

#include <ATen/core/TensorBody.h>

#include "loader/loader.h"
#include "loader/registry.h"
#include "trace/errors.h"
#include "trace/reader.h"
#include "trace/run_folder.h"

namespace batch71::loader {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using trace::Event;
using trace::Stage;

constexpr int kRateHz = 8000;

std::string wav(const std::vector<int16_t>& samples, int rate_hz) {
  std::string bytes(44, '\0');
  const auto put = [&bytes](size_t at, auto value) {
    std::memcpy(&bytes[at], &value, sizeof value);
  };
  const auto data_bytes = static_cast<uint32_t>(samples.size() * 2);
  std::memcpy(&bytes[0], "RIFF", 4);
  put(4, 36 + data_bytes);
  std::memcpy(&bytes[8], "WAVEfmt ", 8);
  put(16, uint32_t{16});
  put(20, uint16_t{1});
  put(22, uint16_t{1});
  put(24, static_cast<uint32_t>(rate_hz));
  put(28, static_cast<uint32_t>(rate_hz * 2));
  put(32, uint16_t{2});
  put(34, uint16_t{16});
  std::memcpy(&bytes[36], "data", 4);
  put(40, data_bytes);
  return bytes.append(reinterpret_cast<const char*>(samples.data()), data_bytes);
}

// All samples unlike each other, so that a part shows where it was taken.
std::vector<int16_t> ramp(int frames, int step = 1) {
  std::vector<int16_t> samples(static_cast<size_t>(frames));
  for (size_t i = 0; i < samples.size(); ++i) {
    samples[i] = static_cast<int16_t>(1000 + step * static_cast<int>(i));
  }
  return samples;
}

double power_of(const std::vector<float>& samples) {
  return std::inner_product(samples.begin(), samples.end(), samples.begin(), 0.0) /
         static_cast<double>(samples.size());
}

class NoiseTest : public ::testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(root_);
    folder_ = trace::create_run_folder(root_ + "/traces");
    config_.train_ds.manifest_filepath = root_ + "/train.json";
    config_.train_ds.noise_manifest_filepath = root_ + "/noise.json";
    config_.train_ds.noise_prob = 1;
    config_.train_ds.sample_rate = kRateHz;
    config_.train_ds.features = "waveform";
    config_.train_ds.batch_size = 4;
    config_.train_ds.seed = 71;
    config_.guards.item_deadline_ms = 300;
  }
  void TearDown() override { fs::remove_all(root_); }

  std::string path(const std::string& name) const { return root_ + "/" + name; }
  // Adds a file and its entry.
  void add(const std::string& manifest, const std::string& name,
           const std::vector<int16_t>& samples, int rate_hz = kRateHz) {
    std::ofstream(path(name), std::ios::binary) << wav(samples, rate_hz);
    std::ofstream(path(manifest), std::ios::app)
        << "{\"audio_filepath\": \"" << name
        << "\", \"duration\": " << static_cast<double>(samples.size()) / rate_hz << "}\n";
  }
  void add_noise(const std::string& name, const std::vector<int16_t>& samples,
                 int rate_hz = kRateHz) {
    add("noise.json", name, samples, rate_hz);
  }

  // What is added to the sample.
  std::vector<float> added_to(const Waveform& sample, const ItemId& id) {
    NoiseMixer mixer(noise_plan(config_.train_ds), config_);
    Waveform mixed = sample;
    trace::Writer trace(folder_, {trace::Role::kWorker, 0, 1, 0, 0});
    trace.begin({id.epoch, id.batch, id.index});
    failed_in_ = Stage::kNone;
    try {
      mixer.mix(id, mixed, trace);
    } catch (const ItemError&) {
      failed_in_ = trace.stage();
      throw;
    }
    EXPECT_EQ(trace.stage(), Stage::kGetitem);
    for (size_t i = 0; i < mixed.samples.size(); ++i) mixed.samples[i] -= sample.samples[i];
    return mixed.samples;
  }
  BadItem refusal(std::string* file) {
    try {
      added_to({std::vector<float>(400, 0.5f), kRateHz}, {3, 0, 0, 71});
    } catch (const ItemError& error) {
      *file = error.file();
      return error.reason();
    }
    return BadItem{};
  }

  const std::string root_ = fs::temp_directory_path() / ("noise-" + std::to_string(getpid()));
  std::string folder_;
  Config config_;
  Stage failed_in_ = Stage::kNone;
};

TEST_F(NoiseTest, IsDrawnFromSeedEpochAndIndexAlone) {
  for (const char* name : {"a.wav", "b.wav", "c.wav"}) add_noise(name, ramp(100));
  config_.train_ds.noise_prob = 0.25;
  config_.train_ds.noise_min_snr_db = -5;
  config_.train_ds.noise_max_snr_db = 15;
  const NoisePlan plan(config_.train_ds);
  const NoisePlan again(config_.train_ds);
  int with_noise = 0;
  std::set<int64_t> noises;
  std::set<std::string> by_epoch_and_seed;
  for (int64_t index = 0; index < 2000; ++index) {
    const auto choice = plan.choose({index, 0, 0, 71});
    EXPECT_EQ(plan.file({index, 0, 9, 71}), again.file({index, 0, 0, 71})) << "not of the batch";
    if (!choice) continue;
    ++with_noise;
    noises.insert(choice->noise);
    EXPECT_TRUE(choice->snr_db >= -5 && choice->snr_db < 15);
    EXPECT_TRUE(choice->position >= 0 && choice->position < 1);
  }
  EXPECT_NEAR(with_noise, 500, 70);
  EXPECT_EQ(noises.size(), 3u);
  for (const ItemId& id : {ItemId{0, 0, 0, 71}, ItemId{0, 1, 0, 71}, ItemId{0, 0, 0, 72}}) {
    std::string drawn;
    for (int64_t index = 0; index < 50; ++index) {
      drawn += plan.file({index, id.epoch, 0, id.seed}) + "\n";
    }
    by_epoch_and_seed.insert(drawn);
  }
  EXPECT_EQ(by_epoch_and_seed.size(), 3u);
}

TEST_F(NoiseTest, IsAddedAtItsSnr) {
  config_.train_ds.noise_min_snr_db = config_.train_ds.noise_max_snr_db = 12;
  add_noise("long.wav", ramp(5000, -3));
  const Waveform sample{std::vector<float>(800, 0.25f), kRateHz};
  for (int64_t index = 0; index < 20; ++index) {
    const std::vector<float> added = added_to(sample, {index, 0, 0, 71});
    EXPECT_NEAR(10 * std::log10(power_of(sample.samples) / power_of(added)), 12, 0.01);
  }
}

TEST_F(NoiseTest, OfLongerNoiseAPartIsTakenAnywhere) {
  add_noise("long.wav", ramp(4000));
  const Waveform sample{std::vector<float>(800, 0.25f), kRateHz};
  std::set<int> starts;
  for (int64_t index = 0; index < 50; ++index) {
    const std::vector<float> added = added_to(sample, {index, 0, 0, 71});
    const float step = (added.back() - added.front()) / 799;  // gain, times one of the ramp
    starts.insert(static_cast<int>(std::lround(added.front() / step)) - 1000);
  }
  EXPECT_GE(*starts.begin(), 0);
  EXPECT_LT(*starts.begin(), 400);
  EXPECT_GT(*starts.rbegin(), 2800);
  EXPECT_LE(*starts.rbegin(), 3200);
}

TEST_F(NoiseTest, ShorterNoiseIsAddedOnceSomewhere) {
  add_noise("short.wav", std::vector<int16_t>(100, 5000));
  const Waveform sample{std::vector<float>(800, 0.25f), kRateHz};
  std::set<ptrdiff_t> starts;
  for (int64_t index = 0; index < 50; ++index) {
    const std::vector<float> added = added_to(sample, {index, 0, 0, 71});
    const auto is_added = [](float value) { return value != 0; };
    const auto first = std::find_if(added.begin(), added.end(), is_added);
    EXPECT_EQ(std::count_if(added.begin(), added.end(), is_added), 100);
    EXPECT_EQ(std::find_if_not(first, added.end(), is_added) - first, 100);
    starts.insert(first - added.begin());
  }
  EXPECT_GT(starts.size(), 30u);
  EXPECT_LE(*starts.rbegin(), 700);
}

TEST_F(NoiseTest, SilenceIsLeftAlone) {
  add_noise("silent.wav", std::vector<int16_t>(900, 0));
  const std::vector<float> added =
      added_to({std::vector<float>(800, 0.25f), kRateHz}, {1, 0, 0, 71});
  EXPECT_EQ(power_of(added), 0);
}

TEST_F(NoiseTest, OfAnotherRateItIsResampled) {
  config_.train_ds.noise_min_snr_db = config_.train_ds.noise_max_snr_db = 0;
  std::vector<int16_t> low(22050);
  for (size_t i = 0; i < low.size(); ++i) {
    low[i] = static_cast<int16_t>(9000 * std::sin(static_cast<double>(i) * 440 * 2 * M_PI / 22050));
  }
  add_noise("low.wav", low, 22050);
  const Waveform sample{std::vector<float>(4000, 0.25f), kRateHz};
  const std::vector<float> added = added_to(sample, {1, 0, 0, 71});
  int crossings = 0;
  for (size_t i = 1; i < added.size(); ++i) crossings += (added[i - 1] < 0) != (added[i] < 0);
  EXPECT_NEAR(crossings, 440, 4);  // half a second of 440 Hz
}

TEST_F(NoiseTest, TheTraceTellsOfItWithItsPath) {
  add_noise("a b.wav", ramp(4000));
  config_.train_ds.noise_min_snr_db = config_.train_ds.noise_max_snr_db = 12.5;
  added_to({std::vector<float>(800, 0.25f), kRateHz}, {9, 2, 1, 71});
  const trace::RunTrace run = trace::read_run(folder_);
  ASSERT_EQ(run.timelines.size(), 1u);
  const std::vector<trace::Entry>& told = run.timelines[0].hot;
  ASSERT_EQ(told.size(), 4u);
  EXPECT_EQ(told[0].event, Event::kNoiseOpening);
  EXPECT_EQ(told[0].text, path("a b.wav"));
  EXPECT_EQ(told[0].index, 9);
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(told[i].stage, Stage::kNoiseMix);
  EXPECT_EQ(told[2].arg0, 800);
  EXPECT_EQ(told[3].event, Event::kNoiseMixed);
  EXPECT_EQ(told[3].arg0, 12500);
}

TEST_F(NoiseTest, IsCheckedAsAudioIs) {
  add_noise("noise.wav", ramp(4000));
  const auto whole = fs::file_size(path("noise.wav"));
  std::string file;
  fs::resize_file(path("noise.wav"), whole / 2);
  EXPECT_EQ(refusal(&file), BadItem::kTruncated) << "though the part that is drawn may be there";
  EXPECT_EQ(file, path("noise.wav"));
  EXPECT_EQ(failed_in_, Stage::kNoiseMix);
  fs::resize_file(path("noise.wav"), 28);
  EXPECT_EQ(refusal(&file), BadItem::kUnreadable);
  std::ofstream(path("noise.wav"), std::ios::binary) << wav(ramp(3000), kRateHz);
  EXPECT_EQ(refusal(&file), BadItem::kTruncated) << "shorter than its manifest says";
  std::ofstream(path("noise.wav"), std::ios::binary) << wav(ramp(5000), kRateHz);
  EXPECT_EQ(refusal(&file), BadItem::kTooLong);
  fs::remove(path("noise.wav"));
  EXPECT_EQ(refusal(&file), BadItem::kMissing);
  EXPECT_EQ(file, path("noise.wav"));
  EXPECT_EQ(failed_in_, Stage::kNoiseMix);
}

// --- The same in a whole loader ---

class NoisyLoader : public NoiseTest {
 protected:
  void SetUp() override {
    NoiseTest::SetUp();
    for (int i = 0; i < 24; ++i) {
      add("train.json", "clip" + std::to_string(i) + ".wav", ramp(400 + 10 * i, i));
    }
    for (int i = 0; i < 8; ++i) add_noise("noise" + std::to_string(i) + ".wav", ramp(900, 3 * i));
  }
  struct Epoch {
    std::map<int64_t, std::vector<float>> features;  // of samples that are no dummies
    std::map<int64_t, DummyItem> dummies;
  };
  Epoch run(int num_workers, int32_t number = 0) {
    config_.train_ds.num_workers = num_workers;
    trace::Writer main(folder_, {trace::Role::kMain, 0, 1});
    Loader loader({config_,
                   0,
                   1,
                   folder_,
                   manifest_dataset_factory(config_, 0),
                   featurizer_factory(config_.train_ds),
                   {}},
                  main);
    Epoch epoch;
    loader.start_epoch(loader.plan(number));
    while (const auto batch = loader.next()) {
      for (const DummyItem& dummy : batch->dummies) epoch.dummies[dummy.index] = dummy;
      for (size_t item = 0; item < batch->indices.size(); ++item) {
        if (epoch.dummies.contains(batch->indices[item])) continue;
        const float* row = batch->features.data_ptr<float>() +
                           static_cast<int64_t>(item) * batch->features.size(2);
        epoch.features[batch->indices[item]].assign(row,
                                                    row + batch->lengths.data_ptr<int64_t>()[item]);
      }
    }
    return epoch;
  }
  std::set<int64_t> samples_with(const std::string& noise) const {
    const NoisePlan plan(config_.train_ds);
    std::set<int64_t> samples;
    for (int64_t index = 0; index < 24; ++index) {
      if (plan.file({index, 0, 0, 71}) == path(noise)) samples.insert(index);
    }
    return samples;
  }
  // One noise file is bad: just the samples that draw it become dummies, which name it.
  void expect_only_its_samples(const Epoch& clean, const Epoch& got, const std::string& noise,
                               BadItem reason) {
    const std::set<int64_t> struck = samples_with(noise);
    ASSERT_FALSE(struck.empty());
    ASSERT_EQ(got.dummies.size(), struck.size());
    for (const auto& [index, dummy] : got.dummies) {
      EXPECT_TRUE(struck.contains(index));
      EXPECT_EQ(dummy.file, path(noise));
      EXPECT_EQ(dummy.reason, reason);
      EXPECT_THAT(dummy.why, HasSubstr("noise for " + path("clip" + std::to_string(index))));
    }
    EXPECT_EQ(got.features.size(), 24 - struck.size());
    for (const auto& [index, features] : got.features) {
      EXPECT_EQ(features, clean.features.at(index)) << index;
    }
    for (const trace::Timeline& timeline : trace::read_run(folder_).timelines) {
      for (const trace::Entry& entry : timeline.incidents) {
        if (entry.event != Event::kDummy) continue;
        EXPECT_EQ(entry.stage, Stage::kNoiseMix);
        EXPECT_THAT(entry.text, HasSubstr("file=" + path(noise) + " why="));
      }
    }
  }
};

TEST_F(NoisyLoader, GivesTheSameBitsForAnyNumberOfWorkers) {
  const Epoch one = run(1);
  EXPECT_EQ(one.features.size(), 24u);
  EXPECT_EQ(run(0).features, one.features);
  EXPECT_EQ(run(2).features, one.features);
  EXPECT_NE(run(2, 1).features, one.features);
  config_.train_ds.noise_prob = 0;
  const Epoch without = run(1);
  EXPECT_EQ(run(1, 1).features, without.features);
  for (const auto& [index, features] : without.features) {
    EXPECT_NE(features, one.features.at(index)) << index;
  }
}

TEST_F(NoisyLoader, ABrokenNoiseFileCostsItsSamplesAndIsNamed) {
  const Epoch clean = run(1);
  fs::resize_file(path("noise3.wav"), 28);
  for (const int workers : {0, 2}) {
    expect_only_its_samples(clean, run(workers), "noise3.wav", BadItem::kUnreadable);
  }
}

TEST_F(NoisyLoader, ABlockedNoiseFileCostsItsSamplesAndIsNamed) {
  const Epoch clean = run(1);
  fs::remove(path("noise3.wav"));
  ASSERT_EQ(mkfifo(path("noise3.wav").c_str(), 0600), 0);
  expect_only_its_samples(clean, run(2), "noise3.wav", BadItem::kStuck);
}

TEST_F(NoisyLoader, AnEpochNumberUsedTwiceIsWarnedOfThoughNothingIsShuffled) {
  config_.train_ds.num_workers = 0;
  config_.train_ds.shuffle = false;
  for (const bool noisy : {true, false}) {
    if (!noisy) config_.train_ds.noise_manifest_filepath.clear();
    trace::Writer none;
    Loader loader({config_,
                   0,
                   1,
                   "",
                   manifest_dataset_factory(config_, 0),
                   featurizer_factory(config_.train_ds),
                   {}},
                  none);
    ::testing::internal::CaptureStderr();
    for (int i = 0; i < 2; ++i) {
      loader.start_epoch(loader.plan(0));
      loader.next();
    }
    const std::string said = ::testing::internal::GetCapturedStderr();
    EXPECT_EQ(said.find("epoch 0 is started again") != std::string::npos, noisy) << said;
  }
}

TEST_F(NoisyLoader, IsPartOfTheDataThatRanksMustShare) {
  const auto digest = [this] {
    trace::Writer none;
    config_.train_ds.num_workers = 0;
    return Loader({config_,
                   0,
                   1,
                   "",
                   manifest_dataset_factory(config_, 0),
                   featurizer_factory(config_.train_ds),
                   {}},
                  none)
        .data_digest();
  };
  const uint64_t before = digest();
  EXPECT_EQ(digest(), before);
  add_noise("one more.wav", ramp(500));
  EXPECT_NE(digest(), before);
}

TEST_F(NoisyLoader, WithoutItsManifestNothingStarts) {
  fs::remove(path("noise.json"));
  EXPECT_THROW(run(1), UsageError);
}

}  // namespace
}  // namespace batch71::loader
