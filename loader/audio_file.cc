// Decodes through libsndfile's virtual files, over a FileWindow.
#include "loader/audio_file.h"

#include <sndfile.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>

#include "loader/batch_work.h"
#include "loader/finite.h"
#include "loader/wav_header.h"
#include "trace/writer.h"

namespace batch71::loader {
namespace {

constexpr int kMostChannels = 8;
constexpr int kLeastRateHz = 1'000;
constexpr int kMostRateHz = 384'000;

// The cursor that libsndfile moves.
struct Cursor {
  FileWindow& file;
  sf_count_t position = 0;
};

sf_count_t vio_length(void* user) { return static_cast<Cursor*>(user)->file.size_bytes(); }
sf_count_t vio_seek(sf_count_t offset, int whence, void* user) {
  auto& cursor = *static_cast<Cursor*>(user);
  if (whence == SEEK_CUR) offset += cursor.position;
  if (whence == SEEK_END) offset += cursor.file.size_bytes();
  if (offset >= 0) cursor.position = offset;
  return cursor.position;
}
sf_count_t vio_read(void* to, sf_count_t count, void* user) {
  auto& cursor = *static_cast<Cursor*>(user);
  const sf_count_t got = cursor.file.read(cursor.position, to, count);
  cursor.position += got;
  return got;
}
sf_count_t vio_write(const void* /*from*/, sf_count_t /*count*/, void* /*user*/) { return 0; }
sf_count_t vio_tell(void* user) { return static_cast<Cursor*>(user)->position; }

struct CloseSound {
  void operator()(SNDFILE* sound) const { sf_close(sound); }
};
using Sound = std::unique_ptr<SNDFILE, CloseSound>;

[[noreturn]] void refuse(BadItem reason, const AudioSegment& segment, const std::string& what) {
  throw ItemError(reason, segment.path, what);
}

std::string seconds(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3f s", value);
  return text;
}

Sound open_sound(Cursor& cursor, SF_INFO& info, const AudioSegment& segment) {
  SF_VIRTUAL_IO io{vio_length, vio_seek, vio_read, vio_write, vio_tell};
  Sound sound(sf_open_virtual(&io, SFM_READ, &info, &cursor));
  if (cursor.file.error() != 0) {
    refuse(BadItem::kUnreadable, segment, std::strerror(cursor.file.error()));
  }
  if (sound == nullptr) refuse(BadItem::kUnreadable, segment, sf_strerror(nullptr));
  return sound;
}

void check_format(const SF_INFO& info, const AudioSegment& segment) {
  if (info.channels < 1 || info.channels > kMostChannels) {
    refuse(BadItem::kWrongFormat, segment, std::to_string(info.channels) + " channels");
  }
  if (info.samplerate < kLeastRateHz || info.samplerate > kMostRateHz) {
    refuse(BadItem::kWrongFormat, segment,
           "a sample rate of " + std::to_string(info.samplerate) + " Hz");
  }
}

struct Frames {
  sf_count_t start = 0;
  sf_count_t count = 0;
};

// Frames to decode; checks the file's length against what the manifest declares.
Frames frames_wanted(const SF_INFO& info, const AudioSegment& segment) {
  const double rate = info.samplerate;
  const double file_s = static_cast<double>(info.frames) / rate;
  const double end_s = segment.offset_s + segment.duration_s;
  if (file_s <= 0 || file_s < end_s - kDurationToleranceS) {
    refuse(BadItem::kTruncated, segment,
           "the manifest declares audio up to " + seconds(end_s) + ", the file ends at " +
               seconds(file_s));
  }
  if (segment.is_whole_file && file_s > end_s + kDurationToleranceS) {
    refuse(BadItem::kTooLong, segment,
           "the manifest declares " + seconds(segment.duration_s) + ", the file has " +
               seconds(file_s));
  }
  const AudioPart part = segment.part.value_or(AudioPart{0, segment.duration_s});
  const double start_s = segment.offset_s + part.offset_s;
  const sf_count_t start = std::llround(start_s * rate);
  const sf_count_t declared = declared_samples(part.duration_s, info.samplerate);
  const sf_count_t wanted = std::min(declared, info.frames - start);
  if (wanted < 1) refuse(BadItem::kTruncated, segment, "no audio at " + seconds(start_s));
  return {start, wanted};
}

// How the trace tells of what is read.
struct Telling {
  trace::Event opening;
  trace::Stage opens;
  trace::Event reading;
  trace::Stage reads;
};
Telling telling(AudioUse use) {
  using trace::Event;
  using trace::Stage;
  if (use == AudioUse::kNoise) {
    return {Event::kNoiseOpening, Stage::kNoiseMix, Event::kNoiseReading, Stage::kNoiseMix};
  }
  return {Event::kAudioOpening, Stage::kAudioOpen, Event::kAudioReading, Stage::kAudioRead};
}

void mix_down(const std::vector<float>& interleaved, int channels, std::vector<float>& mono) {
  const float scale = 1.0f / static_cast<float>(channels);
  for (size_t frame = 0; frame < mono.size(); ++frame) {
    float sum = 0;
    for (int channel = 0; channel < channels; ++channel) {
      sum += interleaved[frame * static_cast<size_t>(channels) + static_cast<size_t>(channel)];
    }
    mono[frame] = sum * scale;
  }
}

// Full scale of 16 bit, written as float, and as much again: what is louder overflows in the features.
constexpr float kLoudest = 65'536;

bool may_hold_any_number(const SF_INFO& info) {
  const int kind = info.format & SF_FORMAT_SUBMASK;
  return kind == SF_FORMAT_FLOAT || kind == SF_FORMAT_DOUBLE;
}

void check_level(const std::vector<float>& decoded, const AudioSegment& segment) {
  if (all_within(kLoudest, decoded.data(), decoded.size())) return;
  if (!all_finite(decoded.data(), decoded.size())) {
    refuse(BadItem::kNotFinite, segment, "NaN or infinite samples");
  }
  const auto too_loud = std::find_if(decoded.begin(), decoded.end(),
                                     [](float value) { return std::abs(value) > kLoudest; });
  char text[64];
  std::snprintf(text, sizeof text, "a sample of %g: no audio is that loud", *too_loud);
  refuse(BadItem::kWrongFormat, segment, text);
}

}  // namespace

void AudioReader::read(const AudioSegment& segment, AudioUse use, Waveform& out,
                       trace::Writer& trace) {
  const Telling tells = telling(use);
  trace.record_text(tells.opening, tells.opens, segment.path);
  file_.open(segment.path);
  trace.record(tells.reading, tells.reads);
  check_wav_header(file_, segment.path);
  Cursor cursor{file_};
  SF_INFO info{};
  const Sound sound = open_sound(cursor, info, segment);
  check_format(info, segment);
  const auto [start, wanted] = frames_wanted(info, segment);
  trace.record(tells.reading, tells.reads, wanted);
  if (start > 0) sf_seek(sound.get(), start, SEEK_SET);
  out.sample_rate_hz = info.samplerate;
  out.samples.resize(static_cast<size_t>(wanted));
  std::vector<float>& decoded = info.channels == 1 ? out.samples : interleaved_;
  decoded.resize(static_cast<size_t>(wanted * info.channels));
  const sf_count_t got = sf_readf_float(sound.get(), decoded.data(), wanted);
  if (file_.error() != 0) refuse(BadItem::kUnreadable, segment, std::strerror(file_.error()));
  if (got != wanted || file_.was_cut()) {
    refuse(BadItem::kTruncated, segment,
           "decoded " + std::to_string(got) + " of " + std::to_string(wanted) + " declared frames");
  }
  if (finite_check_ == FiniteCheck::kReject && may_hold_any_number(info)) {
    check_level(decoded, segment);  // of each channel: the mean may hide it
  }
  if (info.channels > 1) mix_down(decoded, info.channels, out.samples);
  file_.close();
  if (use == AudioUse::kNoise) return;
  trace.record(trace::Event::kAudioLoaded, trace::Stage::kGetitem, info.channels, wanted);
}

}  // namespace batch71::loader
