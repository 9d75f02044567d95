// The samples themselves as features: [1, samples], bit for bit.
#pragma once

#include <algorithm>

#include "loader/featurizer.h"

namespace batch71::loader {

class WaveformFeatures : public Featurizer {
 public:
  int64_t channels() const override { return 1; }
  int64_t frames(int64_t num_samples) const override { return num_samples; }
  void process(const Waveform& waveform, const ItemId& /*id*/, const FeatureView& out) override {
    std::copy_n(waveform.samples.begin(), out.frames, out.data);
  }
};

}  // namespace batch71::loader
