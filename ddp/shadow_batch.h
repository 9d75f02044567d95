// Stands in for the batches that a rank no longer has, so that it goes on with every collective that the
// others make (guards.uneven: join).
//
// A shadow batch is shaped like the newest real batch of this rank: a model may insist on shapes. All of
// its rows are dummies, small values around zero that are made anew, so no slot of the loader is kept.
// Its indices are -1. It never reaches the ledger.
#pragma once

#include <cstdint>

#include "loader/batch.h"

namespace batch71::ddp {

class ShadowBatch {
 public:
  // The shape until there is a real batch: [batch_size, channels, frames].
  ShadowBatch(int64_t batch_size, int64_t channels, int64_t frames);
  void resemble(const loader::Batch& batch);
  loader::Batch make(int32_t epoch, int32_t batch) const;

 private:
  int64_t channels_;
  int64_t frames_;
  at::Tensor lengths_;
  at::Tensor labels_;
};

}  // namespace batch71::ddp
