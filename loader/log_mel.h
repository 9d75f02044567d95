// Log-mel features: log(MelSpectrogram + 1e-6), as torchaudio computes the spectrogram.
//
// Equal to torchaudio.transforms.MelSpectrogram(sample_rate, n_fft, win_length, hop_length, n_mels)
// with its defaults: periodic Hann window, center=True with reflected ends, power 2, HTK mel scale
// from 0 Hz to half the rate, no norm. [n_mels, frames] with frames = 1 + samples / hop_length.
// torchaudio refuses clips shorter than half a transform; here their ends reflect again and again.
// Keep the object: plan and buffers are made once. One thread at a time.
#pragma once

#include <memory>
#include <vector>

#include "loader/config.h"
#include "loader/featurizer.h"

struct kiss_fftr_state;

namespace batch71::loader {

// Added before the logarithm: silence becomes log(1e-6), not minus infinity.
inline constexpr float kLogFloor = 1e-6f;

class LogMel : public Featurizer {
 public:
  explicit LogMel(const TrainDs& config);

  int64_t channels() const override { return n_mels_; }
  int64_t frames(int64_t num_samples) const override { return 1 + num_samples / hop_length_; }
  void process(const Waveform& waveform, const ItemId& id, const FeatureView& out) override;

 private:
  // One triangle of the mel scale: the weights of the spectrum's bins from `first_bin` on.
  struct Band {
    int first_bin = 0;
    std::vector<float> weights;
  };
  struct FreeFft {
    void operator()(kiss_fftr_state* state) const;
  };
  static std::vector<Band> make_bands(int n_mels, int n_fft, int sample_rate);
  void power_spectrum(const std::vector<float>& samples, int64_t start);

  int n_mels_;
  int n_fft_;
  int hop_length_;
  std::vector<float> window_;  // win_length, centred in n_fft
  std::vector<Band> bands_;
  std::unique_ptr<kiss_fftr_state, FreeFft> fft_;
  std::vector<float> frame_;
  std::vector<float> spectrum_;  // real and imaginary parts, interleaved
  std::vector<float> power_;
};

}  // namespace batch71::loader
