// Orders the rules: causes first, then what is left unexplained, then what was recovered.
#include "diagnose/diagnose.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "diagnose/facts.h"
#include "diagnose/rules.h"
#include "diagnose/texts.h"
#include "trace/exit_code.h"

namespace batch71::diagnose {
namespace {

using trace::Stage;
using Rule = std::vector<Verdict> (*)(const RunFacts&);

struct RuleEntry {
  Rule rule;
  bool only_unexplained;  // asked only while no rule before it found a cause
};

// What was seen or said comes before what is inferred from silence, a cause before a symptom.
constexpr RuleEntry kRules[] = {
    {disagreements, false}, {losses, false},        {crash_loops, false},    {policies, false},
    {stuck_items, false},   {stuck_steps, false},   {stopped_ranks, false},  {lost_ranks, false},
    {missing_ranks, false}, {bad_items, false},     {idle_workers, false},   {lagging_items, true},
    {lagging_ranks, true},  {blameless_wait, true}, {reduced_traces, false},
};

// Earliest first, and what the traces lack at last; then by place, so that every reader of the same traces says the same.
bool comes_before(const Verdict& a, const Verdict& b) {
  const auto key = [](const Verdict& v) {
    const bool is_of_traces = v.kind == Kind::kTracingReduced;
    return std::tuple(v.recovered, is_of_traces, v.recovered ? v.detected_ns : v.since_ns, v.rank,
                      v.worker, v.index, static_cast<int>(v.kind));
  };
  return key(a) < key(b);
}

bool can_be_a_consequence(Kind kind) {
  return kind == Kind::kRankKilled || kind == Kind::kRankStopped || kind == Kind::kRankExited ||
         kind == Kind::kZygoteLost;
}

// Once a cause was noticed the job ends itself: who dies after that died of it.
void drop_consequences(std::vector<Verdict>& verdicts) {
  if (verdicts.empty() || verdicts.front().recovered) return;
  const Verdict cause = verdicts.front();
  const uint64_t noticed_ns = std::max(cause.detected_ns, cause.since_ns);
  std::erase_if(verdicts, [&](const Verdict& other) {
    const bool is_cause = other.kind == cause.kind && other.rank == cause.rank;
    return !is_cause && !other.recovered && can_be_a_consequence(other.kind) &&
           other.since_ns >= noticed_ns;
  });
}

bool merely_waits(const RunFacts& facts, const RankFacts& rank) {
  const bool in_collective = rank.newest != nullptr && is_collective(rank.newest->stage);
  const bool felt_it =
      std::any_of(facts.incidents.begin(), facts.incidents.end(), [&](const Incident& incident) {
        return incident.entry->event == trace::Event::kSymptom && incident.rank() == rank.rank &&
               is_collective(incident.entry->stage);
      });
  const bool lost_peer = rank.exit_code() == static_cast<int>(ExitCode::kPeerLost);
  return !rank.done && (in_collective || felt_it || lost_peer);
}

void name_who_waits(const RunFacts& facts, std::vector<Verdict>& verdicts) {
  for (Verdict& verdict : verdicts) {
    if (verdict.recovered || verdict.rank < 0) continue;
    for (const auto& [number, rank] : facts.ranks) {
      const bool blamed = std::any_of(verdicts.begin(), verdicts.end(), [&](const Verdict& other) {
        return !other.recovered && other.rank == number;
      });
      if (!blamed && merely_waits(facts, rank)) verdict.waiting.push_back(number);
    }
  }
}

bool all_done(const RunFacts& facts) {
  const bool all_here = static_cast<int>(facts.ranks.size()) >= std::max(facts.world_size, 1);
  return all_here && std::all_of(facts.ranks.begin(), facts.ranks.end(),
                                 [](const auto& entry) { return entry.second.done; });
}

bool was_interrupted(const RunFacts& facts) {
  return std::any_of(facts.ranks.begin(), facts.ranks.end(), [](const auto& entry) {
    return entry.second.ended_with(ExitCode::kInterrupted);
  });
}

Verdict nothing_wrong(const RunFacts& facts, bool silent) {
  Verdict verdict;
  verdict.sure = !facts.cut && !facts.lacks_files();
  const bool any_trace = std::any_of(facts.ranks.begin(), facts.ranks.end(), [](const auto& entry) {
    return entry.second.last_sign_ns != 0;
  });
  if (all_done(facts)) {
    verdict.evidence.push_back("every rank said that it is done");
  } else if (facts.job_done && facts.lacks_files()) {
    verdict.evidence.push_back("some ranks said that they are done");
  } else if (facts.job_done) {
    verdict.evidence.push_back("the job ended as planned, as those say whose last words are there");
  } else if (was_interrupted(facts)) {
    verdict.evidence.push_back("the job was interrupted, by Ctrl-C or SIGTERM");
  } else if (!any_trace) {
    verdict.evidence.push_back("no rank wrote a trace");
    verdict.sure = false;
  } else if (silent) {
    verdict.evidence.push_back(
        "all traces end at the same moment, without a word: the job was killed or stopped as a "
        "whole");
    verdict.sure = false;
  } else {
    verdict.evidence.push_back("in progress, and nobody is older than expected");
  }
  if (facts.cut) verdict.evidence.push_back("some traces are cut: what they held is unknown");
  if (facts.lacks_files()) {
    verdict.evidence.push_back("some traces are not there: what they held is unknown");
  }
  return verdict;
}

std::string state_of(const RunFacts& facts, const RankFacts& rank,
                     const std::vector<Verdict>& verdicts) {
  if (rank.done) return "done";
  for (const Verdict& verdict : verdicts) {
    if (verdict.recovered || verdict.rank != rank.rank) continue;
    if (verdict.kind == Kind::kRankStopped) return "stopped";
    if (verdict.kind == Kind::kRankKilled) return "killed";
    if (verdict.kind == Kind::kRankExited) return "left";
    return "stands still";
  }
  if (rank.ending || rank.wait_status) {
    return rank.killed_by() != 0 && !rank.ending
               ? "killed"
               : fmt::format("ended, code {}", rank.exit_code().value_or(-1));
  }
  if (rank.newest == nullptr) return "unknown";
  if (is_collective(rank.newest->stage)) return "waits";
  return elapsed_ns(rank.last_sign_ns, facts.now_ns) >= kSilentNs ? "silent" : "works";
}

std::string awaited_by(const RankFacts& rank, const std::vector<Verdict>& verdicts) {
  for (const Verdict& verdict : verdicts) {
    if (verdict.recovered) break;
    if (verdict.rank == rank.rank && verdict.worker >= 0) {
      return fmt::format("worker {}", verdict.worker);
    }
    const auto& waiting = verdict.waiting;
    if (verdict.rank >= 0 &&
        std::find(waiting.begin(), waiting.end(), rank.rank) != waiting.end()) {
      return fmt::format("rank {}", verdict.rank);
    }
  }
  const bool fetches = rank.newest != nullptr && rank.newest->stage == Stage::kFetch;
  return fetches && !rank.done && !rank.ending ? "its workers" : "";
}

std::vector<RankRow> rows(const RunFacts& facts, const std::vector<Verdict>& verdicts) {
  std::vector<RankRow> out;
  for (const auto& [number, rank] : facts.ranks) {
    RankRow row;
    row.rank = number;
    row.state = state_of(facts, rank, verdicts);
    row.waits_for = awaited_by(rank, verdicts);
    if (rank.newest != nullptr) {
      row.epoch = rank.newest->epoch;
      row.batch = rank.newest->batch;
      row.stage = rank.newest->stage;
      row.since_ns = rank.newest->monotonic_ns;
    }
    out.push_back(std::move(row));
  }
  return out;
}

std::vector<std::string> problems(const trace::RunTrace& run, const RunFacts& facts) {
  std::vector<std::string> out;
  for (const std::string& problem : run.problems) out.push_back(as_one_line(problem));
  for (const trace::Timeline& timeline : run.timelines) {
    for (const std::string& problem : timeline.problems) {
      out.push_back(source(timeline) + ": " + as_one_line(problem));
    }
    if (timeline.incidents_lost > 0) {
      out.push_back(
          fmt::format("{}: {} incidents did not fit", source(timeline), timeline.incidents_lost));
    }
  }
  for (const std::string& file : facts.missing) out.push_back(file + " is not there");
  const auto traced = std::count_if(facts.ranks.begin(), facts.ranks.end(),
                                    [](const auto& entry) { return entry.second.main != nullptr; });
  if (traced < facts.world_size) {
    out.push_back(fmt::format("{} of {} ranks have a trace", traced, facts.world_size));
  }
  return out;
}

// What programs were warned of, each text once with the ranks that it came from.
std::vector<std::string> notes(const RunFacts& facts) {
  std::map<std::string, std::set<int>> ranks_by_text;
  for (const Incident& warning : facts.of(trace::Event::kWarning)) {
    ranks_by_text[as_one_line(warning.entry->text)].insert(warning.rank());
  }
  std::vector<std::string> out;
  for (const auto& [text, ranks] : ranks_by_text) {
    out.push_back(fmt::format("{} {}: {}", ranks.size() > 1 ? "ranks" : "rank",
                              fmt::join(ranks, ", "), text));
  }
  return out;
}

}  // namespace

Diagnosis diagnose(const trace::RunTrace& run) {
  const RunFacts facts = gather(run);
  Diagnosis out;
  const auto is_cause = [](const Verdict& verdict) { return !verdict.recovered; };
  for (const RuleEntry& entry : kRules) {
    if (entry.only_unexplained && std::any_of(out.verdicts.begin(), out.verdicts.end(), is_cause)) {
      continue;
    }
    std::vector<Verdict> found = entry.rule(facts);
    std::move(found.begin(), found.end(), std::back_inserter(out.verdicts));
  }
  drop_deaths_of_loops(facts, out.verdicts);
  std::stable_sort(out.verdicts.begin(), out.verdicts.end(), comes_before);
  drop_consequences(out.verdicts);
  name_who_waits(facts, out.verdicts);
  out.finished = all_done(facts);
  if (out.verdicts.empty()) {
    const bool silent = !run.same_boot || facts.now_ns < run.now_ns;
    out.verdicts.push_back(nothing_wrong(facts, silent));
  }
  out.ranks = rows(facts, out.verdicts);
  out.ranks_seen =
      static_cast<int>(std::count_if(facts.ranks.begin(), facts.ranks.end(), [](const auto& entry) {
        return entry.second.last_sign_ns != 0;
      }));
  out.world_size = facts.world_size;
  out.problems = problems(run, facts);
  out.notes = notes(facts);
  out.now_ns = facts.now_ns;
  return out;
}

}  // namespace batch71::diagnose
