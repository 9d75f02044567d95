// The rounds of agreement that ranks hold: before an epoch, before a step, at the end.
//
// Each is one small collective with a stage of its own, recorded. A rank that may not go on leaves here,
// and so do all the others, with the same code: they saw the same numbers. Training thread only.
#pragma once

#include <cstdint>
#include <optional>

#include "ddp/agreement.h"
#include "ddp/collectives.h"
#include "ddp/progress.h"
#include "loader/batch.h"
#include "loader/config.h"
#include "loader/plan.h"

namespace batch71::ddp {

// What an agreement is about: arg0 of kAgreeing.
inline constexpr int64_t kEpochRound = 0;
inline constexpr int64_t kStepRound = 1;
inline constexpr int64_t kStartRound = 2;

class Rounds {
 public:
  Rounds(Collectives& collectives, Progress& progress, const loader::Guards& guards);

  // Everything but the plan is given in `mine`. Evens out the plan as guards.uneven says; returns the
  // batches of the rank that has the most. UsageError, on all ranks: no batch is left.
  int32_t before_epoch(EpochSide mine, loader::EpochPlan& plan);
  // Over all ranks.
  struct Sums {
    int64_t ranks_with_data = 0;
    int64_t valid = 0;    // samples
    int64_t samples = 0;  // dummies too
  };
  // nullopt for `batch`: this rank has none; unless ranks may join, that ends the job.
  Sums before_batch(const std::optional<loader::Batch>& batch, int32_t number);
  // Rank 0's bytes, to all; "" for none.
  std::string share(const std::string& mine);
  // Returns once all ranks are here.
  void meet();

  // One number for the plans of all ranks in this epoch: the same on each of them.
  uint64_t joint_plan() const { return joint_plan_; }
  int64_t dummies() const { return dummies_; }  // over all ranks and attempts
  void set_dummies(int64_t dummies) { dummies_ = dummies; }

 private:
  int64_t even_out(loader::EpochPlan& plan, const std::vector<EpochSide>& sides);
  [[noreturn]] static void refuse_nothing(const std::vector<EpochSide>& sides);
  void join_after(int64_t batches, const std::string& why);
  [[noreturn]] void end_apart(StepSide mine);
  [[noreturn]] void disagree(const std::string& text);
  // One collective as a stage; a failure of it leaves through the watch.
  template <typename Call>
  auto hold(int64_t which, Call call);

  Collectives& collectives_;
  Progress& progress_;
  const loader::Guards& guards_;
  uint64_t joint_plan_ = 0;
  bool has_joined_ = false;  // in this epoch
  int64_t dummies_ = 0;
};

}  // namespace batch71::ddp
