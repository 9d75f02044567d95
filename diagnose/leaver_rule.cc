// Ranks that left for one reason before they trained: told once, of the lowest of them.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "diagnose/rules.h"
#include "diagnose/texts.h"
#include "trace/exit_code.h"

namespace batch71::diagnose {
namespace {

using trace::Event;

// What its training thread wrote down of its own end; "" where it is not known.
std::string last_words(const RankFacts& rank) {
  if (rank.main == nullptr) return "";
  const auto& incidents = rank.main->incidents;
  const auto said = std::find_if(incidents.begin(), incidents.end(), [](const trace::Entry& entry) {
    return entry.event == Event::kEnding ||
           (entry.event == Event::kError && !is_item_stage(entry.stage));
  });
  return said == incidents.end() ? "" : as_one_line(first_line(said->text));
}

bool has_trained(const RankFacts& rank) {
  if (rank.main == nullptr) return false;
  const auto& hot = rank.main->hot;
  return std::any_of(hot.begin(), hot.end(),
                     [](const trace::Entry& entry) { return entry.event == Event::kStepDone; });
}

using Reason =
    std::pair<int, std::string>;  // its code, and the words if these tell it from another

// What is refused is refused by all, each in its own words, and some may be lost. Any other code says
// too little: it is one reason only where the words are the same, else the first to leave is the cause.
std::optional<Reason> reason_of(const RankFacts& rank, const Verdict& verdict) {
  if (verdict.kind != Kind::kRankExited || has_trained(rank)) return std::nullopt;
  if (rank.ended_with(ExitCode::kUsage)) return Reason{static_cast<int>(ExitCode::kUsage), ""};
  std::string words = last_words(rank);
  if (verdict.stage != trace::Stage::kSetup || words.empty()) return std::nullopt;
  return Reason{rank.exit_code().value_or(-1), std::move(words)};
}

struct Group {
  Reason reason;
  Verdict verdict;  // the first one's, completed by the others'
  std::vector<int> others;
  std::string words;
};

void join(Group& group, const Verdict& also) {
  Verdict& verdict = group.verdict;
  if (verdict.stage == trace::Stage::kNone) verdict.stage = also.stage;
  verdict.since_ns = std::min(verdict.since_ns, also.since_ns);
  verdict.detected_ns = std::min(verdict.detected_ns, also.detected_ns);
  verdict.evidence.insert(verdict.evidence.end(), also.evidence.begin(), also.evidence.end());
  group.others.push_back(also.rank);
}

Verdict told(Group group, const RunFacts& facts) {
  const size_t all = std::max(facts.ranks.size(), static_cast<size_t>(facts.world_size));
  Verdict& verdict = group.verdict;
  if (!group.others.empty()) {
    verdict.what = group.others.size() + 1 == all
                       ? "as did all others"
                       : fmt::format("as did {}", fmt::join(group.others, ", "));
  }
  if (!group.words.empty()) verdict.what += (verdict.what.empty() ? "" : ": ") + group.words;
  return verdict;
}

}  // namespace

std::vector<Verdict> with_leavers_told_as_one(const RunFacts& facts,
                                              const std::vector<Verdict>& lost) {
  std::vector<Verdict> out;
  std::vector<Group> groups;
  for (const Verdict& verdict : lost) {
    const RankFacts& rank = *facts.rank(verdict.rank);
    const std::optional<Reason> reason = reason_of(rank, verdict);
    if (!reason) {
      out.push_back(verdict);
      continue;
    }
    auto group = std::find_if(groups.begin(), groups.end(),
                              [&](const Group& known) { return known.reason == *reason; });
    if (group == groups.end()) {
      groups.push_back({*reason, verdict, {}, last_words(rank)});
      continue;
    }
    join(*group, verdict);
    if (group->words.empty()) group->words = last_words(rank);
  }
  for (Group& group : groups) out.push_back(told(std::move(group), facts));
  return out;
}

}  // namespace batch71::diagnose
