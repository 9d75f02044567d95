// The rounds of agreement.
#include "ddp/rounds.h"

#include <ATen/ops/zeros.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "trace/errors.h"

namespace batch71::ddp {
namespace {

using trace::Event;
using trace::Stage;

}  // namespace

Rounds::Rounds(Collectives& collectives, Progress& progress, const loader::Guards& guards)
    : collectives_(collectives), progress_(progress), guards_(guards) {}

template <typename Call>
auto Rounds::hold(int64_t which, Call call) {
  progress_.enter(Event::kAgreeing, Stage::kAgree, which);
  try {
    auto result = call();
    progress_.enter(Event::kAgreed, Stage::kStep);
    return result;
  } catch (const std::exception& error) {
    progress_.watch().symptom(Stage::kAgree, error.what());
  }
}

void Rounds::disagree(const std::string& text) {
  progress_.trace().incident(Event::kDisagreement, Stage::kAgree, text);
  progress_.watch().leave(ExitCode::kRanksDisagree, text);
}

int32_t Rounds::before_epoch(EpochSide mine, loader::EpochPlan& plan) {
  mine.epoch = plan.epoch;
  mine.batches = static_cast<int64_t>(plan.batches.size());
  for (const auto& batch : plan.batches) mine.samples += static_cast<int64_t>(batch.indices.size());
  mine.plan_digest = static_cast<int64_t>(plan.digest);
  progress_.trace().incident(Event::kAgreementText, Stage::kAgree, to_text(mine));
  const std::vector<Row> rows = hold(kEpochRound, [&] { return collectives_.gather(mine.row()); });
  std::vector<EpochSide> sides;
  for (const Row& row : rows) sides.push_back(EpochSide::from_row(row));
  if (const std::string text = disagreement(sides); !text.empty()) disagree(text);
  if (const std::string text = identical_shards(sides); !text.empty()) disagree(text);
  has_joined_ = false;
  joint_plan_ = joint_plan_digest(sides);
  const int64_t batches = even_out(plan, sides);
  if (batches == 0) refuse_nothing(sides);
  return static_cast<int32_t>(batches);
}

// All ranks come here alike.
void Rounds::refuse_nothing(const std::vector<EpochSide>& sides) {
  std::vector<int64_t> batches;
  for (const EpochSide& side : sides) batches.push_back(side.batches);
  throw UsageError(
      fmt::format("nothing to train on: the ranks' shards give {} batches, and guards.uneven "
                  "leaves 0; even out the shards, lower batch_size or set "
                  "drop_last: false",
                  fmt::join(batches, ", ")));
}

int64_t Rounds::even_out(loader::EpochPlan& plan, const std::vector<EpochSide>& sides) {
  const std::string text = unevenness(sides);
  if (text.empty()) return sides.front().batches;
  const auto [least, most] = std::minmax_element(
      sides.begin(), sides.end(),
      [](const EpochSide& a, const EpochSide& b) { return a.batches < b.batches; });
  switch (guards_.uneven) {
    case loader::Uneven::kFail: disagree(text);
    case loader::Uneven::kPad:
      if (least->batches == 0) disagree(text);  // there is nothing to repeat
      loader::extend(plan, most->batches);
      progress_.trace().incident(Event::kPadded, Stage::kAgree, text, plan.batches_repeated);
      break;
    case loader::Uneven::kDrop:
      loader::truncate(plan, least->batches);
      progress_.trace().incident(Event::kDropped, Stage::kAgree, text, plan.samples_dropped);
      return least->batches;
    case loader::Uneven::kJoin:
      if (const auto own = static_cast<int64_t>(plan.batches.size()); own < most->batches) {
        join_after(own, text);
      }
      break;
  }
  return most->batches;
}

// Written down once in an epoch: by its plan, or when a rank runs dry before its plan ends.
void Rounds::join_after(int64_t batches, const std::string& why) {
  if (std::exchange(has_joined_, true)) return;
  progress_.trace().incident(Event::kJoined, Stage::kAgree, why, batches);
}

Rounds::Sums Rounds::before_batch(const std::optional<loader::Batch>& batch, int32_t number) {
  StepSide mine;
  mine.position = step_position(joint_plan_, number);
  if (batch) {
    mine.has_data = 1;
    mine.valid = batch->num_valid();
    mine.dummies = static_cast<int64_t>(batch->dummies.size());
  }
  const Row sum = hold(kStepRound, [&] { return collectives_.sum(mine.row()); });
  const bool may_go_on =
      sum[0] == collectives_.world_size() || guards_.uneven == loader::Uneven::kJoin;
  if (!may_go_on || !is_together(sum, mine, collectives_.world_size())) end_apart(mine);
  if (!batch && sum[0] > 0) join_after(number, "it had promised more");
  dummies_ += sum[2];
  if (dummies_ > guards_.error_budget) {
    const std::string text = fmt::format("budget: {} dummy items over all ranks, {} are allowed",
                                         dummies_, guards_.error_budget);
    progress_.trace().incident(Event::kLost, Stage::kAgree, text);
    progress_.watch().leave(ExitCode::kErrorBudgetSpent, text);
  }
  return {sum[0], sum[1], sum[1] + sum[2]};
}

// All ranks saw the same sums, so all come here, to learn who is elsewhere.
void Rounds::end_apart(StepSide mine) {
  if (guards_.uneven == loader::Uneven::kJoin) mine.has_data = 1;  // a lack is not what is wrong
  const trace::Place& place = progress_.trace().place();
  const std::vector<Row> rows = hold(
      kStepRound, [&] { return collectives_.gather(where_row(mine, place.epoch, place.batch)); });
  disagree(disagreement_of_steps(rows));
}

std::string Rounds::share(const std::string& mine) {
  return hold(kStartRound, [&] {
    const int64_t size = collectives_.gather({static_cast<int64_t>(mine.size())}).at(0).at(0);
    if (size == 0) return std::string();
    const at::Tensor bytes = at::zeros({size}, at::kByte);
    const auto own_size = std::min(size, static_cast<int64_t>(mine.size()));  // to be overwritten
    std::copy_n(mine.begin(), own_size, bytes.data_ptr<uint8_t>());
    collectives_.broadcast({bytes});
    return std::string(reinterpret_cast<const char*>(bytes.data_ptr<uint8_t>()),
                       static_cast<size_t>(size));
  });
}

void Rounds::meet() {
  hold(kStepRound, [&] { return collectives_.sum({1}); });
}

}  // namespace batch71::ddp
