// Decodes and resamples entries of a manifest.
#include "loader/manifest_dataset.h"

#include "trace/writer.h"

namespace batch71::loader {

ManifestDataset::ManifestDataset(std::shared_ptr<const Manifest> manifest, const Config& config,
                                 bool is_shard)
    : manifest_(std::move(manifest)),
      sample_rate_hz_(config.train_ds.sample_rate),
      is_shard_(is_shard),
      reader_(config.guards.finite_check),
      resampler_(config.train_ds.sample_rate) {}

uint64_t ManifestDataset::digest() const {
  return is_shard_ ? manifest_->labels_digest() : manifest_->digest();
}

uint64_t ManifestDataset::shard_digest() const {
  return is_shard_ && size() > 0 ? manifest_->contents_digest() : 0;
}

Waveform ManifestDataset::load(int64_t index, trace::Writer& trace) {
  AudioSegment segment;
  segment.path = file(index);
  segment.duration_s = manifest_->duration_s(index);
  segment.offset_s = manifest_->offset_s(index);
  segment.is_whole_file = !manifest_->has_offset(index);
  Waveform waveform;
  reader_.read(segment, AudioUse::kSample, waveform, trace);
  if (waveform.sample_rate_hz != sample_rate_hz_) {
    trace.record(trace::Event::kResampling, trace::Stage::kResample, waveform.sample_rate_hz,
                 sample_rate_hz_);
    waveform.samples = resampler_.process(waveform.samples, waveform.sample_rate_hz);
    waveform.sample_rate_hz = sample_rate_hz_;
  }
  return waveform;
}

}  // namespace batch71::loader
