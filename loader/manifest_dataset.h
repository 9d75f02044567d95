// The samples of a NeMo manifest as a Dataset: decoded, checked, at the configured sample rate.
#pragma once

#include <memory>

#include "loader/audio_file.h"
#include "loader/config.h"
#include "loader/dataset.h"
#include "loader/manifest.h"
#include "loader/resample.h"

namespace batch71::loader {

class ManifestDataset : public Dataset {
 public:
  // is_shard: other ranks have manifests of their own; only the labels must agree.
  ManifestDataset(std::shared_ptr<const Manifest> manifest, const Config& config, bool is_shard);

  int64_t size() const override { return manifest_->size(); }
  double duration_s(int64_t index) const override { return manifest_->duration_s(index); }
  int64_t label(int64_t index) const override { return manifest_->label(index); }
  int64_t num_classes() const override { return manifest_->num_labels(); }
  std::string file(int64_t index) const override {
    return std::string(manifest_->audio_path(index));
  }
  uint64_t digest() const override;
  uint64_t shard_digest() const override;
  Waveform load(int64_t index, trace::Writer& trace) override;

 private:
  std::shared_ptr<const Manifest> manifest_;
  int sample_rate_hz_;
  bool is_shard_;
  AudioReader reader_;
  Resampler resampler_;
};

}  // namespace batch71::loader
