// Batches from worker processes (num_workers > 0).
#pragma once

#include <memory>

#include "loader/batch_source.h"
#include "loader/loader_parts.h"
#include "loader/watch_thread.h"
#include "loader/worker_pool.h"

namespace batch71::loader {

class PooledSource : public BatchSource {
 public:
  explicit PooledSource(std::shared_ptr<LoaderParts> parts)
      : parts_(std::move(parts)),
        watch_(parts_->spec.run_folder, parts_->spec.rank, parts_->spec.world_size, parts_->bell,
               std::make_shared<WorkerPool>(parts_)) {}
  ~PooledSource() override { watch_.stop(parts_->spec.config.guards.shutdown_deadline_ms); }

  void start_epoch(EpochPlan plan) override {
    for (const BatchWork& left : parts_->delivery.start(std::move(plan))) {
      parts_->slots->give_back(left.slot);
    }
  }
  BatchWork take() override { return parts_->delivery.take(); }

 private:
  std::shared_ptr<LoaderParts> parts_;
  WatchThread watch_;
};

}  // namespace batch71::loader
