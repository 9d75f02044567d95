// One rank's epochs and steps, in the order that all ranks keep.
#pragma once

#include <cstdint>
#include <optional>

#include "ddp/environment.h"
#include "ddp/job.h"
#include "ddp/ledger.h"
#include "ddp/progress.h"
#include "ddp/rounds.h"
#include "ddp/training_step.h"
#include "loader/loader.h"

namespace batch71::ddp {

class StepLoop {
 public:
  // Meets the other ranks. Throws UsageError; leaves through the watch if they do not come.
  StepLoop(const Environment& env, const JobConfig& config, const Seams& seams,
           loader::Loader& loader, Progress& progress);
  // All epochs, then the round that ends the job. Throws what user code throws.
  void run();

  int64_t steps() const { return step_; }
  int64_t dummies() const { return rounds_.dummies(); }  // over all ranks
  double loss() const { return loss_; }                  // of the last step, over all ranks

 private:
  EpochSide own_side() const;
  std::optional<loader::Batch> fetch();
  void train_on(const loader::Batch& batch, int64_t valid, bool is_repeat);
  void end_start();
  void run_epoch(int32_t epoch);
  bool is_finished() const;

  const Environment& env_;
  const JobConfig& config_;
  loader::Loader& loader_;
  Progress& progress_;
  Ledger ledger_;
  Collectives collectives_;
  TrainingStep training_;
  Rounds rounds_;
  int64_t step_ = 0;
  double loss_ = 0;
};

}  // namespace batch71::ddp
