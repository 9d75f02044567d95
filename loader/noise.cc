// Chooses noise, reads it and adds it.
#include "loader/noise.h"

#include <algorithm>
#include <cmath>

#include "loader/hash.h"
#include "trace/writer.h"

namespace batch71::loader {
namespace {

// Noise is drawn from numbers of its own: dummies are made from the same (seed, epoch, index).
constexpr uint64_t kSalt = 0x6e6f697365;  // "noise"

double power(const std::vector<float>& samples) {
  double sum = 0;
  for (const float sample : samples) sum += static_cast<double>(sample) * sample;
  return sum / static_cast<double>(samples.size());
}

}  // namespace

NoisePlan::NoisePlan(const TrainDs& config)
    : manifest_(config.noise_manifest_filepath, ManifestLimits{}),
      prob_(config.noise_prob),
      min_snr_db_(config.noise_min_snr_db),
      max_snr_db_(config.noise_max_snr_db) {}

std::optional<NoiseChoice> NoisePlan::choose(const ItemId& id) const {
  const uint64_t state = mix(mix(mix(id.seed ^ kSalt) + static_cast<uint64_t>(id.epoch)) +
                             static_cast<uint64_t>(id.index));
  const auto uniform = [state](uint64_t which) {  // 53 bits: 0 to 1, without 1
    return static_cast<double>(mix(state + which) >> 11) * 0x1p-53;
  };
  if (uniform(0) >= prob_) return std::nullopt;
  NoiseChoice choice;
  choice.noise = static_cast<int64_t>(mix(state + 1) % static_cast<uint64_t>(manifest_.size()));
  choice.snr_db = min_snr_db_ + uniform(2) * (max_snr_db_ - min_snr_db_);
  choice.position = uniform(3);
  return choice;
}

std::string NoisePlan::file(const ItemId& id) const {
  const std::optional<NoiseChoice> choice = choose(id);
  return choice ? std::string(manifest_.audio_path(choice->noise)) : "";
}

std::shared_ptr<const NoisePlan> noise_plan(const TrainDs& config) {
  if (config.noise_manifest_filepath.empty()) return nullptr;
  return std::make_shared<const NoisePlan>(config);
}

std::unique_ptr<NoiseMixer> noise_mixer(const std::shared_ptr<const NoisePlan>& plan,
                                        const Config& config) {
  return plan == nullptr ? nullptr : std::make_unique<NoiseMixer>(plan, config);
}

void NoiseMixer::read(const NoiseChoice& choice, const Waveform& sample, trace::Writer& trace) {
  const Manifest& manifest = plan_->manifest();
  AudioSegment segment;
  segment.path = manifest.audio_path(choice.noise);
  segment.duration_s = manifest.duration_s(choice.noise);
  segment.offset_s = manifest.offset_s(choice.noise);
  segment.is_whole_file = !manifest.has_offset(choice.noise);
  const double sample_s = static_cast<double>(sample.samples.size()) / sample.sample_rate_hz;
  if (segment.duration_s > sample_s) {
    segment.part = AudioPart{choice.position * (segment.duration_s - sample_s), sample_s};
  }
  reader_.read(segment, AudioUse::kNoise, noise_, trace);
  if (noise_.sample_rate_hz == sample.sample_rate_hz) return;
  trace.record(trace::Event::kResampling, trace::Stage::kNoiseMix, noise_.sample_rate_hz,
               sample.sample_rate_hz);
  noise_.samples = resampler_.process(noise_.samples, noise_.sample_rate_hz);
}

void NoiseMixer::mix(const ItemId& id, Waveform& sample, trace::Writer& trace) {
  const std::optional<NoiseChoice> choice = plan_->choose(id);
  if (!choice) return;
  read(*choice, sample, trace);
  const size_t length = std::min(noise_.samples.size(), sample.samples.size());
  const auto room = static_cast<double>(sample.samples.size() - length + 1);
  const auto at = static_cast<size_t>(choice->position * room);
  const double of_noise = power(noise_.samples);
  const double gain = of_noise > 0 ? std::sqrt(power(sample.samples) / of_noise) *
                                         std::pow(10.0, -choice->snr_db / 20)
                                   : 0.0;
  for (size_t i = 0; i < length; ++i) {
    sample.samples[at + i] += static_cast<float>(gain) * noise_.samples[i];
  }
  trace.record(trace::Event::kNoiseMixed, trace::Stage::kGetitem,
               std::llround(choice->snr_db * 1000), static_cast<int64_t>(length));
}

}  // namespace batch71::loader
