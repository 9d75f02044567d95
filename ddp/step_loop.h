// One rank's epochs and steps, in the order that all ranks keep.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "ddp/batch_stream.h"
#include "ddp/checkpoint_folder.h"
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

  int64_t steps() const { return state_.steps; }         // of the optimizer, over all attempts
  int64_t dummies() const { return rounds_.dummies(); }  // over all ranks
  double loss() const { return state_.loss; }            // of the last step, over all ranks

 private:
  EpochSide own_side() const;
  std::string open_folder();
  std::optional<Checkpoint> receive_checkpoint();
  void enter_epoch(int32_t epoch, const EpochSide& side);
  void begin();
  void resume(const Checkpoint& from);
  [[noreturn]] void refuse(const std::string& line);
  void end_start();
  void run_epoch(int32_t epoch);
  // One batch of every rank that has one. False: none has.
  bool run_batch(int32_t number, int32_t num_batches);
  void end_step();
  void save();
  bool is_finished() const;

  // What was put into the step that is under way, over all ranks.
  struct Step {
    int batches = 0;  // of a rank
    int64_t valid = 0;
  };

  const Environment& env_;
  const JobConfig& config_;
  loader::Loader& loader_;
  Progress& progress_;
  Ledger ledger_;
  std::optional<CheckpointFolder> folder_;  // on rank 0 of a job with checkpoints
  std::string refusal_;                     // why there is none, on rank 0
  Collectives collectives_;
  TrainingStep training_;
  Rounds rounds_;
  BatchStream stream_;
  std::optional<Checkpoint> found_;  // until the first epoch begins
  bool has_begun_ = false;
  bool is_under_way_ = false;
  int32_t own_batches_ = 0;  // of the epoch, as planned
  Step step_;
  JobState state_;
  int64_t saved_steps_ = 0;
};

}  // namespace batch71::ddp
