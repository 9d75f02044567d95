// Features: torchaudio's numbers; the waveform bit for bit; names of features.
#include "loader/log_mel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "loader/registry.h"
#include "loader/resample.h"
#include "trace/errors.h"

namespace batch71::loader {
namespace {

// The signal of golden/make_log_mel_golden.py.
std::vector<float> made_up_signal(int samples) {
  std::vector<float> values;
  int64_t state = 71;
  for (int i = 0; i < samples; ++i) {
    state = (state * 1103515245 + 12345) % (int64_t{1} << 31);
    const int64_t noise = (state >> 15) - 32768;
    const int64_t divisor = (i / 300) % 2 == 0 ? 4 : 400;
    const int64_t floored = (noise - ((noise % divisor + divisor) % divisor)) / divisor;
    values.push_back(static_cast<float>(static_cast<double>(floored) / 32768));
  }
  return values;
}

TEST(LogMelGolden, EqualsTorchaudioWithin1e4) {
  std::ifstream golden(BATCH71_SOURCE_DIR "/loader/golden/log_mel.txt");
  TrainDs config;
  int samples = 0;
  int64_t frames = 0;
  int blocks = 0;
  while (golden >> config.sample_rate >> config.n_fft >> config.win_length >> config.hop_length >>
         config.n_mels >> samples >> frames) {
    LogMel features(config);
    ASSERT_EQ(features.frames(samples), frames);
    const int64_t stride = frames + 3;
    std::vector<float> out(static_cast<size_t>(config.n_mels * stride), -99.0f);
    const Waveform waveform{made_up_signal(samples), config.sample_rate};
    features.process(waveform, {}, {out.data(), config.n_mels, frames, stride});
    for (int64_t at = 0; at < config.n_mels * frames; ++at) {
      float expected = 0;
      golden >> expected;
      ASSERT_NEAR(out[static_cast<size_t>(at / frames * stride + at % frames)], expected, 1e-4)
          << "block " << blocks << " number " << at;
    }
    EXPECT_EQ(out[static_cast<size_t>(frames)], -99.0f) << "wrote past the item's frames";
    ++blocks;
  }
  EXPECT_EQ(blocks, 4);
}

TEST(LogMel, ClipsOfASampleHaveFeaturesToo) {
  LogMel features(TrainDs{});
  std::vector<float> out(80);
  features.process({{0.5f}, 16000}, {}, {out.data(), 80, 1, 1});
  EXPECT_THAT(out, ::testing::Each(::testing::Gt(-14.0f)));
}

TEST(Resampler, GivesTheSameBitsWhateverCameBefore) {
  Resampler used(16000);
  Resampler fresh(16000);
  const std::vector<float> signal = made_up_signal(3001);
  used.process(made_up_signal(700), 8000);
  const std::vector<float> again = used.process(signal, 8000);
  EXPECT_EQ(again.size(), 6002u);
  EXPECT_EQ(again, fresh.process(signal, 8000));
}

TEST(Resampler, KeepsATone) {
  std::vector<float> tone(8000);
  for (size_t i = 0; i < tone.size(); ++i) tone[i] = std::sin(0.2f * static_cast<float>(i));
  const std::vector<float> doubled = Resampler(16000).process(tone, 8000);
  for (size_t i = 1000; i < 15000; ++i) {
    ASSERT_NEAR(doubled[i], std::sin(0.1f * static_cast<float>(i)), 2e-3) << i;
  }
}

TEST(Registry, NamesTheNearestFeatures) {
  TrainDs config;
  config.features = "log_mell";
  EXPECT_THAT([&] { featurizer_factory(config); },
              ::testing::ThrowsMessage<UsageError>(::testing::HasSubstr("nearest is 'log_mel'")));
  EXPECT_THROW(register_featurizer("log_mel", nullptr), std::logic_error);
}

TEST(Registry, WaveformCopiesBitForBit) {
  TrainDs config;
  config.features = "waveform";
  const std::unique_ptr<Featurizer> features = featurizer_factory(config)();
  const Waveform waveform{made_up_signal(100), 16000};
  std::vector<float> out(100);
  ASSERT_EQ(features->frames(100), 100);
  features->process(waveform, {}, {out.data(), 1, 100, 100});
  EXPECT_EQ(out, waveform.samples);
}

}  // namespace
}  // namespace batch71::loader
