// One optimizer step of DDP on one rank, over one batch or several: forward, loss over the valid rows,
// backward, the Reducer's all-reduce in the last backward, SGD.
//
// Gradients of the sums add up over the batches of a step; the Reducer averages them over the ranks;
// `finish` then multiplies by world size / valid samples of all ranks and batches, which nobody can know
// before the last batch. So the gradient is that of the mean over all valid samples, as in one process.
//
// Dummies are taken out of the loss by selection, never by multiplication (NaN * 0 is NaN). A batch
// without a valid row, such as a shadow batch, runs the whole graph like any other, so that every
// parameter takes part in the all-reduce, and leaves nothing: each gradient is replaced by zeros on its way
// to its parameter, and buffers (running statistics) are put back. It is run in training mode: in
// evaluation mode a model may use fewer parameters, and the Reducer would wait for the rest.
//
// What a model draws from the default generator (dropout) derives from (seed, rank, epoch, batch): a
// resumed job draws the same. Training thread only.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "ddp/collectives.h"
#include "ddp/progress.h"
#include "loader/batch.h"

namespace batch71::ddp {

class Model;

class TrainingStep {
 public:
  struct Spec {
    double lr = 0;
    uint64_t seed = 0;  // unlike on each rank
  };
  TrainingStep(std::shared_ptr<Model> model, const Spec& spec, Collectives& collectives,
               Progress& progress);
  ~TrainingStep();

  // Over the shapes of all parameters: must be the same on every rank before `begin`.
  uint64_t parameter_digest() const;
  // Rank 0's weights to all, then the Reducer. After the ranks agreed on the shapes.
  void begin();
  // Adds the gradients of this batch; `is_last` of the step: with the all-reduce. Leaves through the
  // watch when that fails.
  void add(const loader::Batch& batch, bool is_last);
  // After the last batch of the step. Returns the mean loss over the valid samples of all ranks: the
  // same number on every rank.
  double finish(int64_t valid_over_all_ranks);
  void update_weights();

  // Weights, buffers and the optimizer's state, as libtorch writes them.
  std::string save() const;
  // Before `begin`, which gives rank 0's weights to all: the others need the optimizer's state alone. Throws
  // std::exception if they are of another model.
  void load(const std::string& saved, bool with_weights);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace batch71::ddp
