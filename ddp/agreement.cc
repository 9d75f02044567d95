// What ranks must agree on before an epoch, and who is at odds.
#include "ddp/agreement.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

namespace batch71::ddp {
namespace {

struct Field {
  const char* name;
  int64_t EpochSide::*value;
};
constexpr std::array<Field, 5> kMustAgree{{
    {"world_size", &EpochSide::world_size},
    {"epoch", &EpochSide::epoch},
    {"config_digest", &EpochSide::config_digest},
    {"parameter_digest", &EpochSide::parameter_digest},
    {"manifest_digest", &EpochSide::manifest_digest},
}};

// The value that most ranks have; among equals the one of the lowest rank.
int64_t majority(const std::vector<EpochSide>& sides, int64_t EpochSide::*value) {
  std::map<int64_t, int> votes;
  for (const EpochSide& side : sides) ++votes[side.*value];
  int64_t best = sides[0].*value;
  for (const EpochSide& side : sides) {
    if (votes[side.*value] > votes[best]) best = side.*value;
  }
  return best;
}

// The first rank that differs from the majority, -1 for none.
int odd_one(const std::vector<EpochSide>& sides, int64_t EpochSide::*value) {
  const int64_t common = majority(sides, value);
  const auto odd = std::find_if(sides.begin(), sides.end(),
                                [&](const EpochSide& side) { return side.*value != common; });
  return odd == sides.end() ? -1 : static_cast<int>(odd - sides.begin());
}

}  // namespace

std::vector<int64_t> EpochSide::row() const {
  return {batches, samples, epoch, world_size, config_digest, parameter_digest, manifest_digest};
}

EpochSide EpochSide::from_row(const std::vector<int64_t>& row) {
  return {row.at(0), row.at(1), row.at(2), row.at(3), row.at(4), row.at(5), row.at(6)};
}

std::string to_text(const EpochSide& side) {
  return fmt::format(
      "batches={} samples={} epoch={} world_size={} config_digest={:x} parameter_digest={:x} "
      "manifest_digest={:x}",
      side.batches, side.samples, side.epoch, side.world_size, side.config_digest,
      side.parameter_digest, side.manifest_digest);
}

std::string disagreement(const std::vector<EpochSide>& sides) {
  for (const Field& field : kMustAgree) {
    const int rank = odd_one(sides, field.value);
    if (rank < 0) continue;
    return fmt::format("kind=ranks_disagree rank={} what={} mine={:x} others={:x}", rank,
                       field.name, sides[static_cast<size_t>(rank)].*field.value,
                       majority(sides, field.value));
  }
  return {};
}

std::string unevenness(const std::vector<EpochSide>& sides) {
  const int rank = odd_one(sides, &EpochSide::batches);
  if (rank < 0) return {};
  const EpochSide& odd = sides[static_cast<size_t>(rank)];
  return fmt::format("kind=shards_uneven rank={} batches={} others={} samples={}", rank,
                     odd.batches, majority(sides, &EpochSide::batches), odd.samples);
}

}  // namespace batch71::ddp
