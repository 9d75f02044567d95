// Stands in for the batches that a rank no longer has.
#include "ddp/shadow_batch.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include "loader/dummy.h"

namespace batch71::ddp {

ShadowBatch::ShadowBatch(int64_t batch_size, int64_t channels, int64_t frames)
    : channels_(channels),
      frames_(frames),
      lengths_(at::full({batch_size}, frames, at::kLong)),
      labels_(at::zeros({batch_size}, at::kLong)) {}

void ShadowBatch::resemble(const loader::Batch& batch) {
  channels_ = batch.features.size(1);
  frames_ = batch.features.size(2);
  lengths_ = batch.lengths;
  labels_ = batch.labels;
}

loader::Batch ShadowBatch::make(int32_t epoch, int32_t batch) const {
  const int64_t size = lengths_.size(0);
  loader::Batch shadow;
  shadow.epoch = epoch;
  shadow.batch = batch;
  shadow.features = at::empty({size, channels_, frames_});
  shadow.lengths = lengths_.clone();
  shadow.labels = labels_.clone();
  shadow.is_dummy = at::ones({size}, at::kBool);
  for (int64_t row = 0; row < size; ++row) {
    const loader::FeatureView view{shadow.features[row].data_ptr<float>(), channels_,
                                   lengths_[row].item<int64_t>(), frames_};
    loader::fill_dummy(view, {-1, epoch, batch, static_cast<uint64_t>(row)});
    shadow.indices.push_back(-1);
    shadow.dummies.push_back({-1, static_cast<int>(row), {}, {}, "shadow"});
  }
  return shadow;
}

}  // namespace batch71::ddp
