// Generated clips with a manifest: what the loaders of a bench program read. Gone with the object.
//
// 16-bit mono WAV at 16 kHz, all of one length: a tone under noise, seeded by the clip's number, so
// that every run of every program reads the same bytes. Labels go round over four classes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bench/temporary_folder.h"

namespace batch71::bench {

inline constexpr int kSampleRateHz = 16'000;

class Clips {
 public:
  // Throws std::runtime_error if they cannot be written.
  Clips(int64_t count, double duration_s);

  const std::string& manifest() const { return manifest_; }
  const std::vector<std::string>& files() const { return files_; }
  int64_t count() const { return static_cast<int64_t>(files_.size()); }

 private:
  TemporaryFolder folder_;
  std::string manifest_;
  std::vector<std::string> files_;
};

}  // namespace batch71::bench
