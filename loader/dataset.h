// The seam for a user's own data: what a dataset is to the loader.
//
// A dataset is made by a factory, once in the worker zygote (before any worker is forked; it must not
// start a thread) and once in the rank. In the rank only size, duration and label are asked; `load`
// runs in worker processes (or in the rank with `num_workers: 0`). Errors are typed: throw ItemError.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace batch71::trace {
class Writer;
}

namespace batch71::loader {

// Mono samples in [-1, 1], float32.
struct Waveform {
  std::vector<float> samples;
  int sample_rate_hz = 0;
};

// Why an item became a dummy. The names are part of the trace: append only.
enum class BadItem : uint16_t {
  kMissing = 1,      // the file is not there
  kUnreadable = 2,   // the file is there, and is no audio that can be decoded
  kTruncated = 3,    // fewer samples than the header, the file's size or the manifest declares
  kWrongFormat = 4,  // sample rate, channels or length outside of what is configured
  kNotFinite = 5,    // NaN or infinite samples or features
  kThrew = 6,        // user code threw something else
  kTooLong = 7,      // longer than declared: it does not fit its slot
  kStuck = 8,        // past item_deadline_ms; its worker was killed
  kWorkerLost = 9,   // its worker died or was killed by others
};
std::string_view name(BadItem reason);

class ItemError : public std::runtime_error {
 public:
  ItemError(BadItem reason, std::string file, const std::string& what)
      : std::runtime_error(what), reason_(reason), file_(std::move(file)) {}
  BadItem reason() const { return reason_; }
  const std::string& file() const { return file_; }

 private:
  BadItem reason_;
  std::string file_;
};

class Dataset {
 public:
  virtual ~Dataset() = default;
  // Number of samples; indices run from 0 to size() - 1.
  virtual int64_t size() const = 0;
  // Declared duration in seconds, known without opening the audio. Sets the stride of the batch.
  virtual double duration_s(int64_t index) const = 0;
  // Class of the sample, -1 for none.
  virtual int64_t label(int64_t index) const = 0;
  // Number of classes, 0 for none.
  virtual int64_t num_classes() const = 0;
  // The file of a sample, for reports.
  virtual std::string file(int64_t index) const = 0;
  // Digest of everything that must be the same on every rank.
  virtual uint64_t digest() const = 0;
  // Digest of the samples, in whatever order, where each rank has a shard of its own: no other rank may
  // have the same. 0: the data are not sharded, the shard is empty, or it is not known.
  virtual uint64_t shard_digest() const { return 0; }
  // Decodes the sample, at the configured sample rate. Writes its stages (audio_open, audio_read,
  // resample) to `trace`. Throws ItemError.
  virtual Waveform load(int64_t index, trace::Writer& trace) = 0;
};

using DatasetFactory = std::function<std::unique_ptr<Dataset>()>;

}  // namespace batch71::loader
