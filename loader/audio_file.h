// Decodes one audio file (WAV, FLAC, Ogg, ... by libsndfile) or a segment of it, and believes nothing.
//
// For: one thread, one file at a time; keep the reader, its buffers are reused. Each check answers a
// kind of broken file that libsndfile opens without a word: it would train on silence or noise.
// Errors: ItemError (kMissing, kUnreadable, kTruncated, kWrongFormat, kNotFinite, kTooLong).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "loader/config.h"
#include "loader/dataset.h"
#include "loader/file_window.h"

namespace batch71::loader {

struct AudioPart {
  double offset_s = 0;  // from the segment's start
  double duration_s = 0;
};

struct AudioSegment {
  std::string path;
  double duration_s = 0;  // as the manifest declares it
  double offset_s = 0;
  bool is_whole_file = true;        // then the file must be as long as declared
  std::optional<AudioPart> part{};  // decodes that only; the checks are those of all of it
};

// What the audio is for: the trace tells both apart.
enum class AudioUse { kSample, kNoise };

// Manifests round durations; that much a file may differ from what is declared.
inline constexpr double kDurationToleranceS = 0.01;

class AudioReader {
 public:
  explicit AudioReader(FiniteCheck finite_check) : finite_check_(finite_check) {}

  // Mono (the mean of the channels) at the file's own rate, into `out`. Of a whole file that is a
  // little longer than declared, the declared part. Writes to `trace` audio_open and audio_read, or
  // noise_mix if it is for noise.
  void read(const AudioSegment& segment, AudioUse use, Waveform& out, trace::Writer& trace);

 private:
  FiniteCheck finite_check_;
  FileWindow file_;
  std::vector<float> interleaved_;
};

}  // namespace batch71::loader
