// Where filled batches come from: worker processes, or the training thread itself.
#pragma once

#include "loader/batch_work.h"
#include "loader/plan.h"

namespace batch71::loader {

class BatchSource {
 public:
  virtual ~BatchSource() = default;
  virtual void start_epoch(EpochPlan plan) = 0;
  // The next one of the plan, all items ended. Throws LoaderFatal.
  virtual BatchWork take() = 0;
};

}  // namespace batch71::loader
