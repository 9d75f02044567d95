// Log-mel by kissfft (no timed plans: the same bits in every run).
#include "loader/log_mel.h"

#include <kissfft/kiss_fftr.h>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace batch71::loader {
namespace {

double hz_to_mel(double hz) { return 2595.0 * std::log10(1.0 + hz / 700.0); }
double mel_to_hz(double mel) { return 700.0 * (std::pow(10.0, mel / 2595.0) - 1.0); }

// torch.hann_window(win_length), padded on both sides to n_fft.
std::vector<float> make_window(int win_length, int n_fft) {
  std::vector<float> window(static_cast<size_t>(n_fft), 0.0f);
  const int left = (n_fft - win_length) / 2;
  for (int i = 0; i < win_length; ++i) {
    const double phase = 2.0 * std::numbers::pi * i / win_length;
    window[static_cast<size_t>(left + i)] = static_cast<float>(0.5 - 0.5 * std::cos(phase));
  }
  return window;
}

// Position of sample `at` when the signal is mirrored at its ends without repeating them.
int64_t reflect(int64_t at, int64_t size) {
  if (size == 1) return 0;
  const int64_t period = 2 * (size - 1);
  at = ((at % period) + period) % period;
  return at < size ? at : period - at;
}

}  // namespace

void LogMel::FreeFft::operator()(kiss_fftr_state* state) const { kiss_fftr_free(state); }

LogMel::LogMel(const TrainDs& config)
    : n_mels_(config.n_mels),
      n_fft_(config.n_fft),
      hop_length_(config.hop_length),
      window_(make_window(config.win_length, config.n_fft)),
      bands_(make_bands(config.n_mels, config.n_fft, config.sample_rate)),
      fft_(kiss_fftr_alloc(config.n_fft, 0, nullptr, nullptr)),
      frame_(static_cast<size_t>(config.n_fft)),
      spectrum_(static_cast<size_t>(config.n_fft) + 2),
      power_(static_cast<size_t>(config.n_fft) / 2 + 1) {}

// torchaudio.functional.melscale_fbanks(norm=None, mel_scale="htk").
std::vector<LogMel::Band> LogMel::make_bands(int n_mels, int n_fft, int sample_rate) {
  const int bins = n_fft / 2 + 1;
  const double top_hz = sample_rate / 2;  // torchaudio halves in whole numbers too
  const double mel_step = hz_to_mel(top_hz) / (n_mels + 1);
  std::vector<Band> bands(static_cast<size_t>(n_mels));
  for (int mel = 0; mel < n_mels; ++mel) {
    const double low = mel_to_hz(mel * mel_step);
    const double middle = mel_to_hz((mel + 1) * mel_step);
    const double high = mel_to_hz((mel + 2) * mel_step);
    Band& band = bands[static_cast<size_t>(mel)];
    for (int bin = 0; bin < bins; ++bin) {
      const double hz = top_hz * bin / (bins - 1);
      const double weight = std::min((hz - low) / (middle - low), (high - hz) / (high - middle));
      if (weight <= 0) continue;
      if (band.weights.empty()) band.first_bin = bin;
      band.weights.push_back(static_cast<float>(weight));
    }
  }
  return bands;
}

void LogMel::power_spectrum(const std::vector<float>& samples, int64_t start) {
  const auto size = static_cast<int64_t>(samples.size());
  const bool inside = start >= 0 && start + n_fft_ <= size;
  for (int i = 0; i < n_fft_; ++i) {
    const int64_t at = inside ? start + i : reflect(start + i, size);
    frame_[static_cast<size_t>(i)] =
        samples[static_cast<size_t>(at)] * window_[static_cast<size_t>(i)];
  }
  kiss_fftr(fft_.get(), frame_.data(), reinterpret_cast<kiss_fft_cpx*>(spectrum_.data()));
  for (size_t bin = 0; bin < power_.size(); ++bin) {
    const float re = spectrum_[2 * bin];
    const float im = spectrum_[2 * bin + 1];
    power_[bin] = re * re + im * im;
  }
}

void LogMel::process(const Waveform& waveform, const ItemId& /*id*/, const FeatureView& out) {
  for (int64_t frame = 0; frame < out.frames; ++frame) {
    power_spectrum(waveform.samples, frame * hop_length_ - n_fft_ / 2);
    for (int64_t mel = 0; mel < out.channels; ++mel) {
      const Band& band = bands_[static_cast<size_t>(mel)];
      const float* power = power_.data() + band.first_bin;
      float sum = 0;
      for (size_t i = 0; i < band.weights.size(); ++i) sum += band.weights[i] * power[i];
      out.data[mel * out.row_stride + frame] = std::log(sum + kLogFloor);
    }
  }
}

}  // namespace batch71::loader
