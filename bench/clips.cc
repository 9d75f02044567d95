// Writes clips and their manifest.
#include "bench/clips.h"

#include <sndfile.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <numbers>
#include <random>
#include <stdexcept>

namespace batch71::bench {
namespace {

std::vector<float> samples(int64_t number, double duration_s) {
  std::mt19937 noise(static_cast<uint32_t>(number));
  const double tone_hz = 100.0 + static_cast<double>(number % 40) * 50.0;
  std::vector<float> out(static_cast<size_t>(std::llround(duration_s * kSampleRateHz)));
  for (size_t at = 0; at < out.size(); ++at) {
    const double phase = 2.0 * std::numbers::pi * tone_hz * static_cast<double>(at) / kSampleRateHz;
    const double white = static_cast<double>(noise()) / 0x1p32 - 0.5;
    out[at] = static_cast<float>(0.4 * std::sin(phase) + 0.2 * white);
  }
  return out;
}

void write_clip(const std::string& path, const std::vector<float>& samples) {
  SF_INFO info{};
  info.samplerate = kSampleRateHz;
  info.channels = 1;
  info.format = SF_FORMAT_WAV | SF_FORMAT_PCM_16;
  SNDFILE* sound = sf_open(path.c_str(), SFM_WRITE, &info);
  const auto count = static_cast<sf_count_t>(samples.size());
  const bool written = sound != nullptr && sf_write_float(sound, samples.data(), count) == count;
  if (sf_close(sound) != 0 || !written) throw std::runtime_error(path + ": cannot be written");
}

}  // namespace

Clips::Clips(int64_t count, double duration_s)
    : folder_(std::filesystem::temp_directory_path().string()),
      manifest_(folder_.path() + "/manifest.json") {
  std::ofstream manifest(manifest_);
  for (int64_t number = 0; number < count; ++number) {
    const std::string name = std::to_string(number) + ".wav";
    files_.push_back(folder_.path() + "/" + name);
    write_clip(files_.back(), samples(number, duration_s));
    manifest << "{\"audio_filepath\": \"" << name << "\", \"duration\": " << duration_s
             << ", \"label\": \"class" << number % 4 << "\"}\n";
  }
  if (!manifest.flush()) throw std::runtime_error(manifest_ + ": cannot be written");
}

}  // namespace batch71::bench
