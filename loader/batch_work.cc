// Shapes and addresses of a batch's items.
#include "loader/batch_work.h"

#include <algorithm>
#include <cmath>

namespace batch71::loader {

int64_t declared_samples(double duration_s, int sample_rate_hz) {
  constexpr double kRoundingSamples = 0.05;  // a duration of six decimals at 96 kHz
  const double exact = duration_s * sample_rate_hz;
  const double whole = std::round(exact);
  return static_cast<int64_t>(std::abs(exact - whole) < kRoundingSamples ? whole
                                                                         : std::ceil(exact));
}

BatchShape::BatchShape(const Dataset& dataset, const Featurizer& featurizer, int sample_rate_hz,
                       int batch_size)
    : dataset_(dataset),
      featurizer_(featurizer),
      sample_rate_hz_(sample_rate_hz),
      channels_(featurizer.channels()) {
  int64_t longest = 1;
  for (int64_t index = 0; index < dataset.size(); ++index) {
    longest = std::max(longest, declared_frames(index));
  }
  slot_bytes_ = static_cast<size_t>(batch_size * channels_ * longest) * sizeof(float);
}

int64_t BatchShape::declared_frames(int64_t index) const {
  const int64_t samples = declared_samples(dataset_.duration_s(index), sample_rate_hz_);
  return std::max<int64_t>(1, featurizer_.frames(samples));
}

BatchWork BatchShape::begin(int32_t epoch, int32_t batch, const BatchPlan& plan) const {
  BatchWork work;
  work.epoch = epoch;
  work.batch = batch;
  work.unfinished = plan.indices.size();
  for (const int64_t index : plan.indices) {
    Item item;
    item.index = index;
    item.declared_frames = declared_frames(index);
    work.stride_frames = std::max(work.stride_frames, item.declared_frames);
    work.items.push_back(item);
  }
  return work;
}

FeatureView BatchShape::view(float* slot, const BatchWork& work, size_t position) const {
  FeatureView view;
  view.data = slot + static_cast<int64_t>(position) * channels_ * work.stride_frames;
  view.channels = channels_;
  view.frames = work.items[position].declared_frames;
  view.row_stride = work.stride_frames;
  return view;
}

void zero_tail(const FeatureView& view, int64_t frames) {
  for (int64_t channel = 0; channel < view.channels; ++channel) {
    float* row = view.data + channel * view.row_stride;
    std::fill(row + frames, row + view.row_stride, 0.0f);
  }
}

}  // namespace batch71::loader
