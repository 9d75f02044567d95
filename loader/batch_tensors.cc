// The one place of the loader that makes tensors.
#include "loader/batch_tensors.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

namespace batch71::loader {

Batch make_batch(BatchWork work, int64_t channels, const Dataset& dataset,
                 const std::shared_ptr<Slots>& slots) {
  const auto size = static_cast<int64_t>(work.items.size());
  Batch batch;
  batch.epoch = work.epoch;
  batch.batch = work.batch;
  batch.features = at::for_blob(slots->data(work.slot), {size, channels, work.stride_frames})
                       .deleter([slots, slot = work.slot](void*) { slots->give_back(slot); })
                       .options(at::kFloat)
                       .make_tensor();
  batch.lengths = at::empty({size}, at::kLong);
  batch.is_dummy = at::empty({size}, at::kBool);
  batch.labels = at::empty({size}, at::kLong);
  auto* lengths = batch.lengths.data_ptr<int64_t>();
  auto* is_dummy = batch.is_dummy.data_ptr<bool>();
  auto* labels = batch.labels.data_ptr<int64_t>();
  for (const Item& item : work.items) {
    batch.indices.push_back(item.index);
    *lengths++ = item.frames;
    *is_dummy++ = item.state == ItemState::kDummy;
    *labels++ = dataset.label(item.index);
  }
  batch.dummies = std::move(work.dummies);
  return batch;
}

}  // namespace batch71::loader
