// State that an epoch leaves in a worker and that spoils a later one: told from when and where user code fails.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "diagnose/rules.h"

namespace batch71::diagnose {
namespace {

// One sample that fails once may have any reason.
constexpr size_t kLeastSamples = 2;

bool is_of_user_code(const Verdict& verdict) {
  switch (verdict.kind) {
    case Kind::kItemThrew:
    case Kind::kFeaturizerStuck:
    case Kind::kWorkerDeadlocked:
    case Kind::kWorkerExited: return true;
    case Kind::kAudioNotFinite: return verdict.stage == trace::Stage::kFeaturize;
    default: return false;
  }
}

bool is_carried_over(const BadItem& item) {
  return item.worker_since_epoch >= 0 && item.worker_since_epoch < item.verdict.epoch;
}

using Suspects = std::map<int, std::vector<const BadItem*>>;  // by rank

// What user code did in workers that lived through an earlier epoch; nothing if it failed in others too.
Suspects suspects_of(const std::vector<BadItem>& items) {
  Suspects suspects;
  for (const BadItem& item : items) {
    if (!is_of_user_code(item.verdict)) continue;
    if (!is_carried_over(item)) return {};
    suspects[item.verdict.rank].push_back(&item);
  }
  std::erase_if(suspects, [](const auto& of_rank) {
    std::set<int64_t> samples;
    for (const BadItem* item : of_rank.second) samples.insert(item->verdict.index);
    return samples.size() < kLeastSamples;
  });
  return suspects;
}

// Names the samples, so that none of them is lost in the one verdict.
Verdict one_of(const std::vector<const BadItem*>& items) {
  std::string samples;
  for (const BadItem* item : items) {
    samples += fmt::format("{}{}", samples.empty() ? "" : ", ", item->verdict.index);
  }
  Verdict verdict = items.front()->verdict;
  verdict.kind = Kind::kStateLeftBehind;
  verdict.recovered = std::all_of(items.begin(), items.end(),
                                  [](const BadItem* item) { return item->verdict.recovered; });
  verdict.evidence.insert(
      verdict.evidence.begin(),
      fmt::format(
          "user code failed {} times (samples {}), always in a worker that had lived through "
          "an earlier epoch, never in a worker's first one",
          items.size(), samples));
  return verdict;
}

}  // namespace

std::vector<Verdict> with_state_left_behind(const std::vector<BadItem>& items) {
  const Suspects suspects = suspects_of(items);
  std::vector<Verdict> out;
  std::set<int> told;
  for (const BadItem& item : items) {
    const auto found = suspects.find(item.verdict.rank);
    if (found == suspects.end() || !is_of_user_code(item.verdict)) {
      out.push_back(item.verdict);
    } else if (told.insert(item.verdict.rank).second) {
      out.push_back(one_of(found->second));
    }
  }
  return out;
}

}  // namespace batch71::diagnose
