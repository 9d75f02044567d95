// wav_nan: the file is a sound WAV of floats, some of which are not numbers.
#include <cstdint>
#include <cstring>
#include <fstream>
#include <limits>
#include <vector>

#include "faults/fault.h"

namespace batch71::faults {
namespace {

// The same number of frames as 32-bit floats, every hundredth of them NaN.
void to_floats_with_nan(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  std::vector<char> bytes((std::istreambuf_iterator<char>(in)), {});
  in.close();
  const size_t frames = (bytes.size() - kWavHeaderBytes) / sizeof(int16_t);
  std::vector<float> samples(frames, 0.1f);
  for (size_t i = 0; i < frames; i += 100) samples[i] = std::numeric_limits<float>::quiet_NaN();

  const auto put = [&bytes](size_t at, auto value) {
    std::memcpy(&bytes[at], &value, sizeof value);
  };
  uint32_t rate_hz = 0;
  std::memcpy(&rate_hz, &bytes[24], sizeof rate_hz);
  const auto data_bytes = static_cast<uint32_t>(frames * sizeof(float));
  put(4, static_cast<uint32_t>(36 + data_bytes));
  put(20, uint16_t{3});  // WAVE_FORMAT_IEEE_FLOAT
  put(28, static_cast<uint32_t>(rate_hz * sizeof(float)));
  put(32, static_cast<uint16_t>(sizeof(float)));
  put(34, uint16_t{32});
  put(40, data_bytes);
  std::ofstream out(file, std::ios::binary);
  out.write(bytes.data(), kWavHeaderBytes);
  out.write(reinterpret_cast<const char*>(samples.data()), data_bytes);
}

}  // namespace

Fault wav_nan() {
  return {
      .name = "wav_nan",
      .family = Family::kData,
      .target = Target::kItem,
      .says = "Some samples are not numbers.",
      .seam = "the audio file",
      .how = "The file is rewritten as 32-bit floats, every hundredth of them NaN.",
      .unguarded = "It trains on, and all weights of all ranks become NaN.",
      .control = ControlEffect::kSilentlySpoils,
      .guard = "finite_check",
      .verdict = "audio_not_finite",
      .stages = {"audio_read"},
      .loses = Loss::kStruckItem,
      .is_lasting = true,
      .inject =
          [](const Site& site) {
            to_floats_with_nan(site.struck_copy);
            return watch_open(site, site.seen_file);
          },
  };
}

}  // namespace batch71::faults
