// What ranks must agree on, and who is at odds.
#include "ddp/agreement.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>

#include "loader/hash.h"

namespace batch71::ddp {
namespace {

struct Field {
  std::string_view name;
  int64_t EpochSide::*value;
  bool must_agree;
};
constexpr std::array<Field, 11> kFields{{
    {"world_size", &EpochSide::world_size, true},
    {"epoch", &EpochSide::epoch, true},
    {"seed", &EpochSide::seed, true},
    {"config_digest", &EpochSide::config_digest, true},
    {"trainer_digest", &EpochSide::trainer_digest, true},
    {"parameter_digest", &EpochSide::parameter_digest, true},
    {"manifest_digest", &EpochSide::manifest_digest, true},
    {"batches", &EpochSide::batches, false},
    {"samples", &EpochSide::samples, false},
    {"plan_digest", &EpochSide::plan_digest, false},
    {"shard_digest", &EpochSide::shard_digest, false},
}};

std::string value_text(std::string_view name, int64_t value) {
  return name.ends_with("digest") ? fmt::format("{:016x}", static_cast<uint64_t>(value))
                                  : std::to_string(value);
}

enum class Ties { kLowestRank, kLargest };

// The value that most ranks have.
int64_t majority(const std::vector<int64_t>& values, Ties ties) {
  std::map<int64_t, int> votes;
  for (const int64_t value : values) ++votes[value];
  int64_t best = values.at(0);
  for (const int64_t value : values) {
    const bool wins_tie = ties == Ties::kLargest && votes[value] == votes[best] && value > best;
    if (votes[value] > votes[best] || wins_tie) best = value;
  }
  return best;
}

// The ranks that differ from `usual`.
std::vector<size_t> odd_ones(const std::vector<int64_t>& values, int64_t usual) {
  std::vector<size_t> odd;
  for (size_t rank = 0; rank < values.size(); ++rank) {
    if (values[rank] != usual) odd.push_back(rank);
  }
  return odd;
}

std::vector<int64_t> column(const std::vector<EpochSide>& sides, int64_t EpochSide::*value) {
  std::vector<int64_t> out;
  for (const EpochSide& side : sides) out.push_back(side.*value);
  return out;
}

// "" when the values are equal.
std::string difference(std::string_view name, const std::vector<int64_t>& values) {
  const int64_t usual = majority(values, Ties::kLowestRank);
  const std::vector<size_t> odd = odd_ones(values, usual);
  if (odd.empty()) return {};
  return fmt::format("kind=ranks_disagree rank={} ranks={} what={} mine={} others={}", odd[0],
                     fmt::join(odd, ","), name, value_text(name, values[odd[0]]),
                     value_text(name, usual));
}

}  // namespace

Row EpochSide::row() const {
  Row row;
  for (const Field& field : kFields) row.push_back(this->*field.value);
  return row;
}

EpochSide EpochSide::from_row(const Row& row) {
  EpochSide side;
  for (size_t i = 0; i < kFields.size(); ++i) side.*kFields[i].value = row.at(i);
  return side;
}

std::string to_text(const EpochSide& side) {
  std::string text;
  for (const Field& field : kFields) {
    if (!text.empty()) text += ' ';
    text += fmt::format("{}={}", field.name, value_text(field.name, side.*field.value));
  }
  return text;
}

std::string disagreement(const std::vector<EpochSide>& sides) {
  const bool has_empty_shard = std::any_of(sides.begin(), sides.end(),
                                           [](const EpochSide& side) { return side.samples == 0; });
  for (const Field& field : kFields) {
    if (!field.must_agree) continue;
    std::string text = difference(field.name, column(sides, field.value));
    if (text.empty()) continue;
    // Who has no sample knows no label either, and has another model for that reason.
    const bool is_of_model = field.value == &EpochSide::parameter_digest;
    const std::string uneven = is_of_model && has_empty_shard ? unevenness(sides) : "";
    return uneven.empty() ? text : uneven;
  }
  return {};
}

std::string identical_shards(const std::vector<EpochSide>& sides) {
  std::set<int64_t> known;
  std::vector<size_t> again;
  for (size_t rank = 0; rank < sides.size(); ++rank) {
    const int64_t shard = sides[rank].shard_digest;
    if (shard != 0 && !known.insert(shard).second) again.push_back(rank);
  }
  if (again.empty()) return {};
  const bool is_of_all = again.size() + 1 == sides.size();
  return fmt::format("kind=shards_identical rank={} ranks={}",
                     is_of_all ? -1 : static_cast<int>(again[0]), fmt::join(again, ","));
}

std::string unevenness(const std::vector<EpochSide>& sides) {
  const std::vector<int64_t> counts = column(sides, &EpochSide::batches);
  const int64_t usual = majority(counts, Ties::kLargest);
  const std::vector<size_t> odd = odd_ones(counts, usual);
  if (odd.empty()) return {};
  const EpochSide& first = sides[odd[0]];
  return fmt::format("kind=shards_uneven rank={} ranks={} batches={} others={} samples={}", odd[0],
                     fmt::join(odd, ","), first.batches, usual, first.samples);
}

uint64_t joint_plan_digest(const std::vector<EpochSide>& sides) {
  loader::Digest digest;
  for (const EpochSide& side : sides) digest.add(static_cast<uint64_t>(side.plan_digest));
  return digest.value();
}

int64_t step_position(uint64_t joint_plan_digest, int64_t batch) {
  return static_cast<int64_t>(loader::mix(joint_plan_digest + static_cast<uint64_t>(batch)) >> 44);
}

bool is_together(const Row& sum, const StepSide& mine, int world_size) {
  return sum.at(3) == world_size * mine.position &&
         sum.at(4) == world_size * mine.position * mine.position;
}

Row where_row(const StepSide& mine, int32_t epoch, int32_t batch) {
  return {mine.has_data, epoch, batch, mine.position};
}

std::string disagreement_of_steps(const std::vector<Row>& rows) {
  constexpr std::array<std::string_view, 4> kNames{"has_data", "epoch", "batch", "plan"};
  for (size_t i = 0; i < kNames.size(); ++i) {
    std::vector<int64_t> values;
    for (const Row& row : rows) values.push_back(row.at(i));
    std::string text = difference(kNames[i], values);
    if (!text.empty()) return text;
  }
  return {};
}

}  // namespace batch71::ddp
