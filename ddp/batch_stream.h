// This rank's batches of an epoch, one after the other, and shadow batches once it has run dry.
//
// A rank may run dry where its plan ends or, with a stream of its own (Seams::next_batch), earlier and
// without having said so. That it is dry holds for the rest of the epoch. Training thread only.
#pragma once

#include <cstdint>
#include <optional>

#include "ddp/job.h"
#include "ddp/progress.h"
#include "ddp/shadow_batch.h"
#include "loader/loader.h"

namespace batch71::ddp {

class BatchStream {
 public:
  BatchStream(loader::Loader& loader, const JobConfig& config, const Seams& seams,
              Progress& progress);

  void start_epoch(loader::EpochPlan plan);
  // The batch of that number; nullopt: this rank has run dry. Leaves through the watch when the loader
  // cannot go on.
  std::optional<loader::Batch> fetch(int32_t number);
  // What stands in for it then.
  loader::Batch shadow(int32_t number) const { return shadow_.make(epoch_, number); }

 private:
  std::optional<loader::Batch> next(int32_t number);

  loader::Loader& loader_;
  NextBatch next_batch_;
  Progress& progress_;
  ShadowBatch shadow_;
  int32_t epoch_ = 0;
  bool is_dry_ = false;
};

}  // namespace batch71::ddp
