// Noise mixed into samples, as NeMo's noise perturbation does it: a second manifest, a probability, an SNR.
//
// Which noise a sample gets, at which SNR and from where, is derived from (seed, epoch, index) alone: the
// same bits for any number of workers and ranks, and the rank can name a noise file that its worker is
// stuck in. Of noise that is longer than the sample a part as long as it is taken; shorter noise is added
// once, somewhere. gain = rms(sample) / rms(noise) * 10^(-snr / 20); silence is left alone.
// Formula and drawing of numbers in full: docs/loader.md.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "loader/audio_file.h"
#include "loader/config.h"
#include "loader/dataset.h"
#include "loader/featurizer.h"
#include "loader/manifest.h"
#include "loader/resample.h"

namespace batch71::loader {

struct NoiseChoice {
  int64_t noise = -1;  // entry of the noise manifest
  double snr_db = 0;
  double position = 0;  // 0 to 1: of the part in longer noise, or of shorter noise in the sample
};

// Shared by a rank and its workers; immutable.
class NoisePlan {
 public:
  // Reads the manifest, before the workers are forked. UsageError.
  explicit NoisePlan(const TrainDs& config);

  // nullopt: the sample stays as it is.
  std::optional<NoiseChoice> choose(const ItemId& id) const;
  // The noise file of a sample, "" for none.
  std::string file(const ItemId& id) const;
  const Manifest& manifest() const { return manifest_; }

 private:
  Manifest manifest_;
  double prob_;
  double min_snr_db_;
  double max_snr_db_;
};

// nullptr where the config names no noise.
std::shared_ptr<const NoisePlan> noise_plan(const TrainDs& config);

class NoiseMixer;
// nullptr where there is no plan.
std::unique_ptr<NoiseMixer> noise_mixer(const std::shared_ptr<const NoisePlan>& plan,
                                        const Config& config);

class NoiseMixer {
 public:
  NoiseMixer(std::shared_ptr<const NoisePlan> plan, const Config& config)
      : plan_(std::move(plan)),
        reader_(config.guards.finite_check),
        resampler_(config.train_ds.sample_rate) {}

  // Adds its noise to the sample; all of it is stage noise_mix. Throws ItemError about the noise file.
  void mix(const ItemId& id, Waveform& sample, trace::Writer& trace);

 private:
  // At the sample's rate: all of it, or a part that is as long as the sample.
  void read(const NoiseChoice& choice, const Waveform& sample, trace::Writer& trace);

  std::shared_ptr<const NoisePlan> plan_;
  AudioReader reader_;
  Resampler resampler_;
  Waveform noise_;
};

}  // namespace batch71::loader
