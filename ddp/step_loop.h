// One rank's epochs and steps, in the order that all ranks keep.
#pragma once

#include <torch/optim/sgd.h>

#include <bit>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "ddp/agreement.h"
#include "ddp/collectives.h"
#include "ddp/environment.h"
#include "ddp/job.h"
#include "ddp/ledger.h"
#include "ddp/step_watch.h"
#include "loader/loader.h"
#include "trace/writer.h"

namespace batch71::ddp {

class StepLoop {
 public:
  StepLoop(const Environment& env, const JobConfig& config, const Seams& seams,
           loader::Loader& loader, StepWatch& watch, trace::Writer& trace);
  // All epochs, then the agreement that ends the job. Leaves through the watch if that cannot be.
  void run();
  int64_t steps() const { return step_; }
  int64_t dummies_over_all_ranks() const { return dummies_; }
  double last_loss() const { return last_loss_; }

 private:
  // What the ranks know of a step before its forward.
  struct Agreed {
    int64_t valid = 0;  // over all ranks
    bool everybody_is_done = false;
  };

  void enter(trace::Event event, trace::Stage stage, int64_t arg0 = 0, int64_t arg1 = 0);
  std::vector<int64_t> sum(const std::vector<int64_t>& mine);
  std::vector<EpochSide> gather(const EpochSide& mine);
  loader::EpochPlan agree_on_epoch(int32_t epoch);
  void even_out(loader::EpochPlan& plan, const std::vector<EpochSide>& sides);
  std::optional<loader::Batch> fetch();
  Agreed agree_on_step(const std::optional<loader::Batch>& batch);
  void train_on(const loader::Batch& batch, const Agreed& agreed);
  double forward_and_backward(const loader::Batch& batch, int64_t valid);
  void run_epoch(int32_t epoch);
  bool is_finished() const;
  int64_t parameter_digest() const;

  const Environment& env_;
  const JobConfig& config_;
  loader::Loader& loader_;
  StepWatch& watch_;
  trace::Writer& trace_;
  Ledger ledger_;
  Collectives collectives_;
  std::shared_ptr<Model> model_;
  std::unique_ptr<torch::optim::SGD> optimizer_;
  int64_t step_ = 0;
  int64_t dummies_ = 0;
  int64_t own_batches_ = 0;  // of this epoch; what comes after is a repeat
  double last_loss_ = 0;
};

}  // namespace batch71::ddp
