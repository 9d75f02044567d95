// Rules about the job: what the ranks themselves say that went wrong.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <map>

#include "diagnose/evidence.h"
#include "diagnose/rules.h"
#include "diagnose/texts.h"
#include "trace/exit_code.h"

namespace batch71::diagnose {
namespace {

using trace::Entry;
using trace::Event;
using trace::Stage;

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

Kind kind_of_disagreement(std::string_view text) {
  const std::string_view kind = word(text, "kind");
  if (kind == "shards_uneven") return Kind::kShardsUneven;
  return kind == "shards_identical" ? Kind::kShardsIdentical : Kind::kRanksDisagree;
}

std::string what_differs(Kind kind, std::string_view text) {
  switch (kind) {
    case Kind::kShardsUneven:
      return fmt::format("{}, others have {}", word(text, "batches"), word(text, "others"));
    case Kind::kShardsIdentical:
      return number(text, "rank", -1) < 0
                 ? "all ranks alike"
                 : fmt::format("those of a lower rank again on {}", word(text, "ranks"));
    default: return std::string(word(text, "what"));
  }
}

// All ranks write down the same disagreement; the first one speaks.
std::vector<Verdict> stated_disagreement(const RunFacts& facts) {
  const std::vector<Incident> said = facts.of(Event::kDisagreement);
  if (said.empty()) return {};
  const std::string& text = said.front().entry->text;
  const Kind kind = kind_of_disagreement(text);
  Verdict verdict = verdict_from(kind, static_cast<int>(number(text, "rank", -1)), said.front());
  verdict.index = -1;
  verdict.what = what_differs(kind, text);
  // A text that was cut off says that there was one, not in what.
  verdict.sure = !text.empty();
  verdict.recovered = facts.job_done;
  return {verdict};
}

// Batch counts by rank, of the first epoch in which they differ.
std::map<int, Incident> unlike_batch_counts(const RunFacts& facts) {
  std::map<int32_t, std::map<int, Incident>> by_epoch;
  for (const Incident& side : facts.of(Event::kAgreementText)) {
    if (number(side.entry->text, "batches", -1) < 0) continue;
    by_epoch[side.entry->epoch].emplace(side.rank(), side);
  }
  for (const auto& [epoch, sides] : by_epoch) {
    const auto count = [](const auto& side) {
      return number(side.second.entry->text, "batches", -1);
    };
    const auto [low, high] =
        std::minmax_element(sides.begin(), sides.end(),
                            [&](const auto& a, const auto& b) { return count(a) < count(b); });
    if (count(*low) != count(*high)) return sides;
  }
  return {};
}

// The count that most ranks have; the larger one of two that are equally frequent.
int64_t usual_count(const std::map<int, Incident>& sides) {
  std::map<int64_t, int> frequency;
  for (const auto& [rank, side] : sides) ++frequency[number(side.entry->text, "batches", -1)];
  return std::max_element(frequency.begin(), frequency.end(),
                          [](const auto& a, const auto& b) {
                            return std::pair(a.second, a.first) < std::pair(b.second, b.first);
                          })
      ->first;
}

// Where the verdict of the agreement itself is missing: from what each rank said to it.
std::vector<Verdict> inferred_disagreement(const RunFacts& facts) {
  const std::vector<Incident> ended = facts.endings(ExitCode::kRanksDisagree);
  const std::map<int, Incident> sides = unlike_batch_counts(facts);
  const bool mended = !facts.of(Event::kPadded).empty() || !facts.of(Event::kDropped).empty() ||
                      !facts.of(Event::kJoined).empty();
  if (sides.empty()) {
    if (ended.empty()) return {};
    Verdict verdict = verdict_from(Kind::kRanksDisagree, -1, ended.front());
    verdict.sure = false;
    return {verdict};
  }
  const int64_t usual = usual_count(sides);
  const auto odd = std::find_if(sides.begin(), sides.end(), [&](const auto& side) {
    return number(side.second.entry->text, "batches", -1) != usual;
  });
  Verdict verdict = verdict_from(Kind::kShardsUneven, odd->first, odd->second);
  verdict.evidence.push_back(fmt::format("most ranks have {} batches", usual));
  verdict.recovered = mended || facts.job_done;
  verdict.sure = verdict.recovered || !ended.empty();
  return {verdict};
}

// A rank that had promised as many batches as the others, and had fewer: shadows took their place.
std::vector<Verdict> ran_dry(const RunFacts& facts) {
  const std::vector<Incident> joined = facts.of(Event::kJoined);
  if (joined.empty()) return {};
  Verdict verdict = verdict_from(Kind::kShardsUneven, joined.front().rank(), joined.front());
  verdict.recovered = true;
  return {verdict};
}

// The rank whose own loss was not finite; -1: unknown.
int rank_of_non_finite_loss(const RunFacts& facts) {
  for (const auto& [number, rank] : facts.ranks) {
    if (rank.main == nullptr) continue;
    for (const Entry& entry : rank.main->hot) {
      if (entry.event == Event::kLossDone && !std::isfinite(std::bit_cast<double>(entry.arg0))) {
        return number;
      }
    }
  }
  return -1;
}

}  // namespace

std::vector<Verdict> disagreements(const RunFacts& facts) {
  for (const auto rule : {stated_disagreement, inferred_disagreement, ran_dry}) {
    if (std::vector<Verdict> found = rule(facts); !found.empty()) return found;
  }
  return {};
}

std::vector<Verdict> losses(const RunFacts& facts) {
  std::vector<Verdict> out;
  const auto add = [&](Kind kind, const Incident& incident) {
    const bool known = std::any_of(out.begin(), out.end(), [&](const Verdict& verdict) {
      return verdict.kind == kind && verdict.rank == incident.rank();
    });
    if (known || facts.rank(incident.rank()) == nullptr) return;
    out.push_back(verdict_from(kind, incident.rank(), incident));
    out.back().recovered = facts.job_done;
  };
  for (const Incident& lost : facts.of(Event::kLost)) {
    if (contains(lost.entry->text, "zygote")) add(Kind::kZygoteLost, lost);
    if (contains(lost.entry->text, "slot")) add(Kind::kWorkersStarved, lost);
  }
  for (const Incident& ending : facts.endings(ExitCode::kZygoteLost)) {
    add(Kind::kZygoteLost, ending);
  }
  return out;
}

std::vector<Verdict> reduced_traces(const RunFacts& facts) {
  const std::vector<Incident> reduced = facts.of(Event::kTracingReduced);
  if (reduced.empty()) return {};
  // What launch says of its own file is asked for only where no rank has a word.
  const auto of_rank = std::find_if(reduced.begin(), reduced.end(), [&](const Incident& incident) {
    return facts.rank(incident.rank()) != nullptr;
  });
  const Incident& said = of_rank == reduced.end() ? reduced.front() : *of_rank;
  Verdict verdict = verdict_from(Kind::kTracingReduced, -1, said);
  verdict.recovered = true;
  verdict.evidence.push_back(fmt::format("{} trace files are smaller than usual", reduced.size()));
  return {verdict};
}

std::vector<Verdict> policies(const RunFacts& facts) {
  std::vector<Verdict> out;
  // The budget is one for all ranks, and all of them end with the same code.
  const std::vector<Incident> lost = facts.of(Event::kLost);
  const auto budget = std::find_if(lost.begin(), lost.end(), [](const Incident& incident) {
    return incident.entry->text.starts_with("budget");
  });
  if (budget != lost.end()) {
    out.push_back(verdict_from(Kind::kErrorBudgetSpent, -1, *budget));
  } else if (const auto ended = facts.endings(ExitCode::kErrorBudgetSpent); !ended.empty()) {
    out.push_back(verdict_from(Kind::kErrorBudgetSpent, -1, ended.front()));
  }
  if (const auto ended = facts.endings(ExitCode::kNonFiniteLoss); !ended.empty()) {
    out.push_back(
        verdict_from(Kind::kNonFiniteLoss, rank_of_non_finite_loss(facts), ended.front()));
    out.back().stage = Stage::kLoss;
  }
  return out;
}

}  // namespace batch71::diagnose
