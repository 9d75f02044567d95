// Rules about ranks: stuck in a step of their own, stopped, killed, gone, or holding up the others.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <tuple>

#include "diagnose/evidence.h"
#include "diagnose/rules.h"

namespace batch71::diagnose {
namespace {

using trace::Entry;
using trace::Event;
using trace::Role;
using trace::Stage;

// A peer that was looked at in passing may be in any stage: only a stay this long counts.
constexpr uint64_t kNotableNs = 1'000'000'000;

bool is_gone(const Observation& seen) { return seen.threads[0].is_gone(); }
bool is_stopped(const Observation& seen) { return seen.threads[0].is_stopped(); }

// The stages in which nobody but the rank itself can hold it up.
bool is_own_stage(Stage stage) {
  return stage == Stage::kStep || stage == Stage::kForward || stage == Stage::kLoss ||
         stage == Stage::kBackward || stage == Stage::kOptimizer || stage == Stage::kCheckpoint;
}

Kind kind_of_stage(Stage stage) {
  switch (stage) {
    case Stage::kForward: return Kind::kForwardStuck;
    case Stage::kLoss: return Kind::kLossStuck;
    case Stage::kBackward: return Kind::kBackwardStuck;
    default: return Kind::kRankStuck;
  }
}

// When a watch, its own or a peer's, first stamped what began at `since_ns`.
uint64_t first_stamp_ns(const RunFacts& facts, uint64_t since_ns, uint64_t observed_ns) {
  for (const Incident& symptom : facts.of(Event::kSymptom)) {
    const uint64_t at_ns = symptom.entry->monotonic_ns;
    if (at_ns >= since_ns && (observed_ns == 0 || at_ns < observed_ns)) return at_ns;
  }
  return observed_ns;
}

// A verdict on a rank at the place where its main was last seen.
Verdict rank_verdict(Kind kind, const RankFacts& rank, const Entry* seen_at) {
  const Entry* place = rank.newest != nullptr ? rank.newest : seen_at;
  Verdict verdict = place != nullptr ? verdict_at(kind, rank.rank, -1, *place) : Verdict{};
  verdict.kind = kind;
  verdict.rank = rank.rank;
  verdict.index = -1;
  return verdict;
}

void add_observations(Verdict& verdict, const RunFacts& facts,
                      bool (*matters)(const Observation&)) {
  for (const Observation& seen : facts.observations) {
    if (seen.rank == verdict.rank && seen.worker < 0 && matters(seen)) {
      verdict.evidence.push_back(evidence_of(seen));
    }
  }
}

void add_newest(Verdict& verdict, const RankFacts& rank) {
  if (rank.newest != nullptr) verdict.evidence.push_back(newest_evidence(*rank.main, *rank.newest));
}

// A rank that ends for another reason than a deadline lets main sleep where it is until it is gone.
bool is_leaving(const RunFacts& facts, int rank, uint64_t at_ns) {
  for (const Incident& symptom : facts.of(Event::kSymptom)) {
    if (symptom.rank() != rank || symptom.entry->monotonic_ns > at_ns) continue;
    return !symptom.entry->text.starts_with("deadline");
  }
  return false;
}

bool is_stuck_step(const RunFacts& facts, const RankFacts& rank, const Observation& seen) {
  const Entry& entry = *seen.incident.entry;
  if (seen.worker >= 0 || !is_own_stage(entry.stage) || is_gone(seen) || is_stopped(seen)) {
    return false;
  }
  if (facts.job_done || rank.done || is_leaving(facts, rank.rank, entry.monotonic_ns)) return false;
  if (rank.newest == nullptr) return rank.ended_with(ExitCode::kStepStuck);
  const Entry& newest = *rank.newest;
  const bool still_there = std::tie(newest.stage, newest.epoch, newest.batch) ==
                           std::tie(entry.stage, entry.epoch, entry.batch);
  const bool by_itself = seen.incident.rank() == rank.rank;
  return still_there &&
         (by_itself || elapsed_ns(newest.monotonic_ns, entry.monotonic_ns) >= kNotableNs);
}

bool trained_on(const RankFacts& rank, uint64_t after_ns) {
  if (rank.main == nullptr) return false;
  const auto& hot = rank.main->hot;
  return std::any_of(hot.begin(), hot.end(), [&](const Entry& entry) {
    return entry.event == Event::kStepDone && entry.monotonic_ns > after_ns;
  });
}

// Launch writes this text at ranks that it ended itself: those deaths explain nothing. Where its file
// is cut the text may be missing, so that nothing is known of who killed whom.
constexpr std::string_view kEndedByLaunch = "ended by launch";

bool killed_by_others(const RankFacts& rank) {
  return rank.killed_by() != 0 && is_whole(*rank.ended->from) &&
         rank.ended->entry->text != kEndedByLaunch;
}

bool others_are_in_trouble(const RunFacts& facts, int rank) {
  const std::vector<Incident> symptoms = facts.of(Event::kSymptom);
  return std::any_of(symptoms.begin(), symptoms.end(),
                     [&](const Incident& symptom) { return symptom.rank() != rank; });
}

// Codes that say themselves what happened, or that it happened elsewhere.
bool is_explained(int code) {
  return (code >= static_cast<int>(ExitCode::kErrorBudgetSpent) &&
          code <= static_cast<int>(ExitCode::kCrashLoop)) ||
         code == static_cast<int>(ExitCode::kInterrupted);
}

// What the training thread threw, outside of any item.
std::optional<Incident> thrown_by_main(const RunFacts& facts, const RankFacts& rank) {
  for (const Incident& error : facts.of(Event::kError)) {
    if (error.from == rank.main && !is_item_stage(error.entry->stage)) return error;
  }
  return std::nullopt;
}

std::optional<Kind> how_lost(const RunFacts& facts, const RankFacts& rank) {
  if (rank.done || facts.job_done) return std::nullopt;
  if (killed_by_others(rank) && !rank.ending) return Kind::kRankKilled;
  if (thrown_by_main(facts, rank)) return Kind::kRankExited;
  const std::optional<int> code = rank.exit_code();
  if (!code || is_explained(*code)) return std::nullopt;
  const bool left_early =
      *code != 0 || (rank.main != nullptr && others_are_in_trouble(facts, rank.rank));
  return left_early ? std::optional(Kind::kRankExited) : std::nullopt;
}

const Observation* seen_gone(const RunFacts& facts, int rank) {
  for (const Observation& seen : facts.observations) {
    if (seen.rank == rank && seen.worker < 0 && is_gone(seen)) return &seen;
  }
  return nullptr;
}

Verdict lost_rank(const RunFacts& facts, const RankFacts& rank, Kind kind) {
  const Observation* seen = seen_gone(facts, rank.rank);
  Verdict verdict = rank_verdict(kind, rank, seen == nullptr ? nullptr : seen->incident.entry);
  if (rank.ended) {
    verdict.since_ns = rank.ended_ns;
    verdict.evidence.push_back(fmt::format("rank {} {} ({})", rank.rank,
                                           describe_wait_status(*rank.wait_status),
                                           source(*rank.ended->from)));
  }
  if (rank.ending) {
    verdict.since_ns = rank.ending->entry->monotonic_ns;
    verdict.evidence.push_back(evidence_of(*rank.ending));
  }
  if (const std::optional<Incident> error = thrown_by_main(facts, rank)) {
    verdict.since_ns = error->entry->monotonic_ns;
    verdict.stage = error->entry->stage;
    verdict.evidence.push_back(evidence_of(*error));
  }
  verdict.detected_ns = first_stamp_ns(facts, rank.last_sign_ns, verdict.since_ns);
  add_observations(verdict, facts, is_gone);
  add_newest(verdict, rank);
  return verdict;
}

// A rank that peers found gone, without a word of its own or of launch.
std::optional<Verdict> vanished_rank(const RunFacts& facts, const RankFacts& rank) {
  if (rank.done || facts.job_done || rank.ending || rank.exit_code()) return std::nullopt;
  if (rank.killed_by() != 0 && is_whole(*rank.ended->from)) return std::nullopt;
  const Observation* seen = seen_gone(facts, rank.rank);
  if (seen == nullptr) return std::nullopt;
  Verdict verdict = rank_verdict(Kind::kRankKilled, rank, seen->incident.entry);
  verdict.sure = false;
  verdict.since_ns = rank.last_sign_ns;
  verdict.detected_ns =
      first_stamp_ns(facts, rank.last_sign_ns, seen->incident.entry->monotonic_ns);
  add_observations(verdict, facts, is_gone);
  add_newest(verdict, rank);
  return verdict;
}

// What is fetched is on its way.
bool a_worker_goes_on(const RunFacts& facts, const RankFacts& rank) {
  return std::any_of(rank.workers.begin(), rank.workers.end(), [&](const trace::Timeline* worker) {
    const Entry* newest = newest_state(*worker);
    return newest != nullptr && is_item_stage(newest->stage) &&
           elapsed_ns(newest->monotonic_ns, facts.now_ns) < kStandsStillNs;
  });
}

// Who holds up the others, by its newest record alone. Its watches tell a step that does not come
// back (they beat on) from a process that is stopped or gone (they are silent).
std::optional<Verdict> lagging_rank(const RunFacts& facts, const RankFacts& rank) {
  if (rank.newest == nullptr || rank.done) return std::nullopt;
  const Entry& newest = *rank.newest;
  const bool stuck_by_code = rank.ended_with(ExitCode::kStepStuck);
  if (!is_own_stage(newest.stage) && newest.stage != Stage::kFetch) return std::nullopt;
  if (newest.stage == Stage::kFetch && a_worker_goes_on(facts, rank)) return std::nullopt;
  if (!stuck_by_code && elapsed_ns(newest.monotonic_ns, facts.now_ns) < kStandsStillNs) {
    return std::nullopt;
  }
  const bool beats_on = elapsed_ns(newest.monotonic_ns, rank.last_sign_ns) >= kSilentNs &&
                        elapsed_ns(rank.last_sign_ns, facts.now_ns) < kSilentNs;
  const Kind kind = stuck_by_code || beats_on ? kind_of_stage(newest.stage) : Kind::kRankStuck;
  Verdict verdict = rank_verdict(kind, rank, nullptr);
  verdict.sure = false;
  verdict.since_ns = newest.monotonic_ns;
  verdict.detected_ns = first_stamp_ns(facts, newest.monotonic_ns, 0);
  add_newest(verdict, rank);
  if (!beats_on && rank.silence_counts) {
    verdict.evidence.push_back(fmt::format("all of rank {}'s own threads are silent", rank.rank));
  }
  return verdict;
}

// One that launch had to end did not leave by itself.
bool never_came(const RankFacts* rank) {
  if (rank == nullptr) return true;
  const bool ended_by_launch = rank->ended && rank->ended->entry->text == kEndedByLaunch;
  return rank->main == nullptr && (!rank->wait_status || ended_by_launch);
}

// A rank that has waited too long for all to be there; nullptr: none.
const RankFacts* first_that_waits_to_start(const RunFacts& facts) {
  for (const auto& [number, rank] : facts.ranks) {
    if (rank.newest == nullptr || rank.newest->stage != Stage::kSetup) continue;
    const bool is_long = elapsed_ns(rank.newest->monotonic_ns, facts.now_ns) >= kStandsStillNs;
    if (is_long || rank.ended_with(ExitCode::kPeerLost)) return &rank;
  }
  return nullptr;
}

}  // namespace

std::vector<Verdict> stuck_steps(const RunFacts& facts) {
  std::vector<Verdict> out;
  for (const auto& [number, rank] : facts.ranks) {
    const auto seen = std::find_if(facts.observations.begin(), facts.observations.end(),
                                   [&](const Observation& look) {
                                     return look.rank == number && is_stuck_step(facts, rank, look);
                                   });
    if (seen == facts.observations.end()) continue;
    const Entry& entry = *seen->incident.entry;
    Verdict verdict = verdict_at(kind_of_stage(entry.stage), number, -1, entry);
    verdict.index = -1;
    verdict.since_ns = rank.newest != nullptr ? rank.newest->monotonic_ns : entry.monotonic_ns;
    verdict.detected_ns = first_stamp_ns(facts, verdict.since_ns, entry.monotonic_ns);
    verdict.evidence.push_back(evidence_of(*seen));
    add_newest(verdict, rank);
    out.push_back(verdict);
  }
  return out;
}

std::vector<Verdict> stopped_ranks(const RunFacts& facts) {
  std::vector<Verdict> out;
  if (facts.job_done) return out;
  for (const auto& [number, rank] : facts.ranks) {
    const auto seen = std::find_if(
        facts.observations.begin(), facts.observations.end(), [&](const Observation& look) {
          return look.rank == number && look.worker < 0 && is_stopped(look);
        });
    if (seen == facts.observations.end()) continue;
    const Entry& entry = *seen->incident.entry;
    if (trained_on(rank, entry.monotonic_ns)) continue;
    // Launch sees that it is stopped, and not where.
    const bool place_is_known = entry.stage != Stage::kNone || rank.newest == nullptr;
    Verdict verdict =
        verdict_at(Kind::kRankStopped, number, -1, place_is_known ? entry : *rank.newest);
    verdict.index = -1;
    verdict.since_ns = rank.newest != nullptr ? rank.newest->monotonic_ns : entry.monotonic_ns;
    verdict.detected_ns = first_stamp_ns(facts, verdict.since_ns, entry.monotonic_ns);
    add_observations(verdict, facts, is_stopped);
    add_newest(verdict, rank);
    out.push_back(verdict);
  }
  return out;
}

std::vector<Verdict> lost_ranks(const RunFacts& facts) {
  std::vector<Verdict> out;
  for (const auto& [number, rank] : facts.ranks) {
    if (const std::optional<Kind> kind = how_lost(facts, rank)) {
      out.push_back(lost_rank(facts, rank, *kind));
    } else if (std::optional<Verdict> vanished = vanished_rank(facts, rank)) {
      out.push_back(std::move(*vanished));
    }
  }
  return with_leavers_told_as_one(facts, out);
}

std::vector<Verdict> missing_ranks(const RunFacts& facts) {
  const RankFacts* waits = facts.job_done ? nullptr : first_that_waits_to_start(facts);
  if (waits == nullptr) return {};
  std::vector<int> missing;
  for (int number = 0; number < facts.world_size; ++number) {
    if (never_came(facts.rank(number))) missing.push_back(number);
  }
  if (missing.empty()) return {};
  Verdict verdict;
  verdict.kind = Kind::kRankMissing;
  verdict.rank = missing.front();
  if (missing.size() > 1) {
    verdict.what = fmt::format("nor did {}", fmt::join(missing.begin() + 1, missing.end(), ", "));
  }
  verdict.stage = Stage::kSetup;
  verdict.sure = !facts.cut && waits->ended_with(ExitCode::kPeerLost);
  verdict.since_ns = waits->newest->monotonic_ns;
  verdict.detected_ns = first_stamp_ns(facts, verdict.since_ns, 0);
  verdict.evidence.push_back("it wrote no trace, and others wait for it to start");
  add_newest(verdict, *waits);
  return {verdict};
}

std::vector<Verdict> lagging_ranks(const RunFacts& facts) {
  std::vector<Verdict> out;
  if (facts.job_done) return out;
  for (const auto& [number, rank] : facts.ranks) {
    if (std::optional<Verdict> verdict = lagging_rank(facts, rank)) {
      out.push_back(std::move(*verdict));
    }
  }
  return out;
}

std::vector<Verdict> blameless_wait(const RunFacts& facts) {
  if (facts.job_done) return {};
  Verdict verdict;
  verdict.kind = Kind::kCollectiveStuck;
  verdict.sure = false;
  for (const auto& [number, rank] : facts.ranks) {
    const bool waits_long = rank.newest != nullptr && is_collective(rank.newest->stage) &&
                            elapsed_ns(rank.newest->monotonic_ns, facts.now_ns) >= kStandsStillNs;
    if (!waits_long && !rank.ended_with(ExitCode::kPeerLost)) continue;
    if (rank.newest != nullptr && verdict.batch < 0) {
      verdict.epoch = rank.newest->epoch;
      verdict.batch = rank.newest->batch;
      verdict.stage = rank.newest->stage;
      verdict.since_ns = rank.newest->monotonic_ns;
    }
    verdict.waiting.push_back(number);
    add_newest(verdict, rank);
  }
  for (const Incident& symptom : facts.of(Event::kSymptom)) {
    const Stage stage = symptom.entry->stage;
    if (symptom.entry->arg0 == static_cast<int>(ExitCode::kInterrupted)) continue;
    if (!is_collective(stage) && stage != Stage::kSetup) continue;  // its own trouble, no wait
    if (verdict.detected_ns == 0) verdict.detected_ns = symptom.entry->monotonic_ns;
    verdict.evidence.push_back(evidence_of(symptom));
  }
  return verdict.evidence.empty() && verdict.waiting.empty() ? std::vector<Verdict>{}
                                                             : std::vector<Verdict>{verdict};
}

}  // namespace batch71::diagnose
