// One optimizer step of DDP on one rank: forward, loss over the valid rows, backward with the
// Reducer's all-reduce, SGD.
//
// Dummies are taken out of the loss by selection, never by multiplication (NaN * 0 is NaN). Each rank
// multiplies its sum by world size / valid samples of all ranks; the Reducer averages: so the gradient
// is that of the mean over all valid samples, as in one process. Training thread only.
#pragma once

#include <cstdint>
#include <memory>

#include "ddp/collectives.h"
#include "ddp/progress.h"
#include "loader/batch.h"

namespace batch71::ddp {

class Model;

class TrainingStep {
 public:
  TrainingStep(std::shared_ptr<Model> model, double lr, Collectives& collectives,
               Progress& progress);
  ~TrainingStep();

  // Over the shapes of all parameters: must be the same on every rank before `begin`.
  uint64_t parameter_digest() const;
  // Rank 0's weights to all, then the Reducer. After the ranks agreed on the shapes.
  void begin();
  // Gradients of this batch, averaged over the ranks. Returns the mean loss over the valid samples of
  // all ranks: the same number on every rank. Leaves through the watch when the all-reduce fails.
  double gradients(const loader::Batch& batch, int64_t valid_over_all_ranks);
  void update_weights();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace batch71::ddp
