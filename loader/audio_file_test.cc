// Decoding: good files bit for bit; some fifty kinds of broken ones refused, each for its reason.
#include "loader/audio_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sndfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>

#include "loader/batch_work.h"
#include "trace/writer.h"

namespace batch71::loader {
namespace {

namespace fs = std::filesystem;

constexpr int kRateHz = 16000;
constexpr int kFrames = 800;
constexpr double kDurationS = static_cast<double>(kFrames) / kRateHz;

template <typename Number>
void put(std::string& bytes, size_t at, Number value) {
  std::memcpy(bytes.data() + at, &value, sizeof value);
}
template <typename Number>
void append(std::string& bytes, Number value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
}

int16_t sample(int i) { return static_cast<int16_t>(8000 * std::sin(0.05 * i)); }

std::string chunk(const std::string& id, const std::string& body) {
  std::string bytes = id;
  append(bytes, static_cast<uint32_t>(body.size()));
  return bytes + body + std::string(body.size() % 2, '\0');
}
std::string format(uint16_t tag, uint16_t channels, uint32_t rate, uint16_t bits) {
  std::string body;
  append(body, tag);
  append(body, channels);
  append(body, rate);
  append(body, static_cast<uint32_t>(rate * channels * bits / 8));
  append(body, static_cast<uint16_t>(channels * bits / 8));
  append(body, bits);
  return body;
}
std::string riff(const std::string& chunks) { return chunk("RIFF", "WAVE" + chunks); }
std::string pcm() {
  std::string body;
  for (int i = 0; i < kFrames; ++i) append(body, sample(i));
  return body;
}
std::string good_wav() {
  return riff(chunk("fmt ", format(1, 1, kRateHz, 16)) + chunk("data", pcm()));
}
std::string float_wav(float odd_one) {
  std::string body;
  for (int i = 0; i < kFrames; ++i) append(body, i == 400 ? odd_one : 0.1f);
  return riff(chunk("fmt ", format(3, 1, kRateHz, 32)) + chunk("data", body));
}
std::string two_channels(float left, float right) {
  std::string body;
  for (int i = 0; i < kFrames; ++i) {
    append(body, left);
    append(body, right);
  }
  return riff(chunk("fmt ", format(3, 2, kRateHz, 32)) + chunk("data", body));
}
std::string with(size_t at, auto value) {
  std::string bytes = good_wav();
  put(bytes, at, value);
  return bytes;
}

class AudioFileTest : public ::testing::Test {
 protected:
  void SetUp() override { fs::create_directories(folder_); }
  void TearDown() override { fs::remove_all(folder_); }
  std::string write(const std::string& bytes) {
    const std::string path = folder_ + "/a.wav";
    std::ofstream(path, std::ios::binary) << bytes;
    return path;
  }
  Waveform read(const AudioSegment& segment, FiniteCheck check = FiniteCheck::kReject) {
    trace::Writer trace;
    Waveform out;
    AudioReader(check).read(segment, AudioUse::kSample, out, trace);
    return out;
  }
  // The reason of the refusal; 0: it was decoded.
  BadItem refusal(const AudioSegment& segment) {
    try {
      read(segment);
    } catch (const ItemError& error) {
      EXPECT_EQ(error.file(), segment.path);
      EXPECT_STRNE(error.what(), "");
      return error.reason();
    }
    return BadItem{};
  }
  const std::string folder_ = fs::temp_directory_path() / ("audio-" + std::to_string(getpid()));
};

TEST_F(AudioFileTest, DecodesEverySample) {
  const Waveform waveform = read({write(good_wav()), kDurationS});
  EXPECT_EQ(waveform.sample_rate_hz, kRateHz);
  ASSERT_EQ(waveform.samples.size(), size_t{kFrames});
  for (int i = 0; i < kFrames; ++i)
    ASSERT_EQ(waveform.samples[static_cast<size_t>(i)], sample(i) / 32768.0f);
}

TEST_F(AudioFileTest, DecodesASegment) {
  const Waveform waveform = read({write(good_wav()), 0.01, 0.02, false});
  ASSERT_EQ(waveform.samples.size(), 160u);
  EXPECT_EQ(waveform.samples[0], sample(320) / 32768.0f);
}

TEST_F(AudioFileTest, MixesChannelsAndReadsFlac) {
  SF_INFO info{};
  info.samplerate = kRateHz;
  info.channels = 2;
  info.format = SF_FORMAT_FLAC | SF_FORMAT_PCM_16;
  const std::string path = folder_ + "/a.flac";
  SNDFILE* file = sf_open(path.c_str(), SFM_WRITE, &info);
  for (int i = 0; i < kFrames; ++i) {
    const int16_t frame[] = {sample(i), 0};
    sf_writef_short(file, frame, 1);
  }
  sf_close(file);
  const Waveform waveform = read({path, kDurationS});
  ASSERT_EQ(waveform.samples.size(), size_t{kFrames});
  EXPECT_EQ(waveform.samples[100], sample(100) / 65536.0f);
  fs::resize_file(path, fs::file_size(path) / 2);
  EXPECT_THAT(refusal({path, kDurationS}),
              ::testing::AnyOf(BadItem::kTruncated, BadItem::kUnreadable));
}

struct Kind {
  const char* name;
  std::string bytes;
  BadItem reason;  // 0: decoded as if nothing were wrong, rightly
};

std::vector<Kind> kinds() {
  const std::string good = good_wav();
  const std::string fmt = chunk("fmt ", format(1, 1, kRateHz, 16));
  const std::string data = chunk("data", pcm());
  const auto cut = [&good](size_t bytes) { return good.substr(0, bytes); };
  using enum BadItem;
  constexpr BadItem kDecoded{};
  constexpr float kInf = std::numeric_limits<float>::infinity();
  return {
      {"empty", "", kUnreadable},
      {"zeros", std::string(2000, '\0'), kUnreadable},
      {"html", "<html><body>404</body></html>", kUnreadable},
      {"magic only", "RIFF", kUnreadable},
      {"cut at 8", cut(8), kUnreadable},
      {"cut at 12", cut(12), kUnreadable},
      {"cut at 28", cut(28), kUnreadable},
      {"cut at 36", cut(36), kUnreadable},
      {"cut at 40", cut(40), kUnreadable},
      {"header only", cut(44), kTruncated},
      {"cut in half", cut(44 + 800), kTruncated},
      {"cut by a frame", cut(good.size() - 2), kTruncated},
      {"cut by a byte", cut(good.size() - 1), kTruncated},
      {"all ones", std::string(2000, '\xff'), kUnreadable},
      {"garbage first", std::string(16, 'x') + good, kUnreadable},
      {"no format", riff(data), kUnreadable},
      {"no data", riff(fmt), kUnreadable},
      {"data before format", riff(data + fmt), kUnreadable},
      {"form other than WAVE", with(8, 'X'), kUnreadable},
      {"format tag 0", with(20, uint16_t{0}), kUnreadable},
      {"format tag unknown", with(20, uint16_t{0x7777}), kUnreadable},
      {"channels 0", with(22, uint16_t{0}), kUnreadable},
      {"channels 65535", with(22, uint16_t{65535}), kUnreadable},
      {"channels 2 claimed", with(22, uint16_t{2}), kUnreadable},
      {"rate 0", with(24, uint32_t{0}), kUnreadable},
      {"rate 1", with(24, uint32_t{1}), kWrongFormat},
      {"rate 0x7fffffff", with(24, uint32_t{0x7fffffff}), kWrongFormat},
      {"rate 0xffffffff", with(24, uint32_t{0xffffffff}), kUnreadable},
      {"rate halved", with(24, uint32_t{8000}), kTooLong},
      {"rate doubled", with(24, uint32_t{32000}), kTruncated},
      {"block align 0", with(32, uint16_t{0}), kUnreadable},
      {"block align 3", with(32, uint16_t{3}), kUnreadable},
      {"block align 65535", with(32, uint16_t{65535}), kUnreadable},
      {"byte rate wrong", with(28, uint32_t{7}), kDecoded},
      {"bits 0", with(34, uint16_t{0}), kUnreadable},
      {"bits 8 claimed", with(34, uint16_t{8}), kUnreadable},
      {"bits 64", with(34, uint16_t{64}), kUnreadable},
      {"data size 0", with(40, uint32_t{0}), kTruncated},
      {"data size halved", with(40, uint32_t{800}), kTruncated},
      {"data size odd", with(40, uint32_t{1599}), kTruncated},
      {"data size 0x7fffffff", with(40, uint32_t{0x7fffffff}), kTruncated},
      {"data size 0xffffffff", with(40, uint32_t{0xffffffff}), kTruncated},
      {"RIFF size wrong", with(4, uint32_t{0x7fffffff}), kDecoded},
      {"8 bits, honestly", riff(chunk("fmt ", format(1, 1, kRateHz, 8)) + data), kTooLong},
      {"NaN", float_wav(NAN), kNotFinite},
      {"infinity", float_wav(kInf), kNotFinite},
      {"minus infinity", float_wav(-kInf), kNotFinite},
      {"at the limit", float_wav(65536), kDecoded},
      {"above the limit", float_wav(std::nextafter(65536.0f, kInf)), kWrongFormat},
      {"huge, yet finite", float_wav(-1e38f), kWrongFormat},
      {"huge, gone in the mean", two_channels(1e38f, -1e38f), kWrongFormat},
      {"float", float_wav(0.2f), kDecoded},
      {"twice as long", riff(fmt + chunk("data", pcm() + pcm())), kTooLong},
      {"trailing garbage", good + "garbage", kDecoded},
      {"unknown chunk before", riff(chunk("junk", "abc") + fmt + data), kDecoded},
      {"unknown chunk that overflows", riff("junk\xf0\xff\xff\x7f" + fmt + data), kUnreadable},
      {"FLAC magic only", "fLaC", kUnreadable},
      {"Ogg magic only", "OggS", kUnreadable},
  };
}

TEST_F(AudioFileTest, EachBrokenKindIsRefusedForItsReason) {
  for (const Kind& kind : kinds()) {
    EXPECT_EQ(name(refusal({write(kind.bytes), kDurationS})), name(kind.reason)) << kind.name;
  }
}

TEST_F(AudioFileTest, WhatIsNoFileIsRefused) {
  EXPECT_EQ(refusal({folder_ + "/none.wav", 1}), BadItem::kMissing);
  EXPECT_EQ(refusal({write("x") + "/below.wav", 1}), BadItem::kMissing);
  EXPECT_EQ(refusal({folder_, 1}), BadItem::kUnreadable);
  EXPECT_EQ(refusal({"/dev/zero", 1}), BadItem::kUnreadable);
  fs::create_symlink("/nowhere", folder_ + "/dangling");
  EXPECT_EQ(refusal({folder_ + "/dangling", 1}), BadItem::kMissing);
}

TEST_F(AudioFileTest, SaysHowLoudALevelIsThatNoAudioHas) {
  EXPECT_THAT(
      [&] {
        read({write(float_wav(-1e38f)), kDurationS});
      },
      ::testing::ThrowsMessage<ItemError>(
          ::testing::HasSubstr("a sample of -1e+38: no audio is that loud")));
}

TEST_F(AudioFileTest, AcceptPassesNaNOn) {
  const Waveform waveform = read({write(float_wav(NAN)), kDurationS}, FiniteCheck::kAccept);
  EXPECT_TRUE(std::isnan(waveform.samples[400]));
}

TEST_F(AudioFileTest, HoldsTheManifestsDurationAgainstTheFile) {
  const std::string path = write(good_wav());
  EXPECT_EQ(refusal({path, 0.2}), BadItem::kTruncated);
  EXPECT_EQ(refusal({path, 0.02}), BadItem::kTooLong);
  EXPECT_EQ(refusal({path, 0.05, 0.02, false}), BadItem::kTruncated);
  EXPECT_EQ(read({path, 0.045}).samples.size(), 720u);  // a rounded duration: the declared part
  EXPECT_EQ(read({path, 0.055}).samples.size(), 800u);
}

TEST(DeclaredSamples, ForgivesRoundedDurations) {
  EXPECT_EQ(declared_samples(1.2345625, 16000), 19753);
  EXPECT_EQ(declared_samples(1.234562, 16000), 19753);
  EXPECT_EQ(declared_samples(1.234563, 16000), 19753);
  EXPECT_EQ(declared_samples(1.0001, 8000), 8001);
}

}  // namespace
}  // namespace batch71::loader
