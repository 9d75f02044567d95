// Rules about samples: dummies and what became of their workers, items that stand still.
#include <fmt/format.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>

#include "diagnose/evidence.h"
#include "diagnose/rules.h"
#include "diagnose/texts.h"

namespace batch71::diagnose {
namespace {

using trace::Entry;
using trace::Event;
using trace::ProcessState;
using trace::Stage;
using trace::Timeline;

// arg0 of Event::kDummy: loader::BadItem, whose numbers are part of the trace.
constexpr int64_t kReasonStuck = 8;
constexpr int64_t kReasonWorkerLost = 9;

bool same_item(const Entry& a, const Entry& b) {
  return a.epoch == b.epoch && a.batch == b.batch && a.index == b.index;
}

std::vector<const Observation*> observations_of(const RunFacts& facts, int rank,
                                                const Entry& item) {
  std::vector<const Observation*> out;
  for (const Observation& seen : facts.observations) {
    if (seen.rank == rank && same_item(*seen.incident.entry, item)) out.push_back(&seen);
  }
  return out;
}

// What happened to one worker process, told apart by arg1 (worker and generation).
std::optional<Incident> of_worker(const RunFacts& facts, Event event, int rank, int64_t arg1) {
  for (const Incident& incident : facts.of(event)) {
    if (incident.rank() == rank && incident.entry->arg1 == arg1) return incident;
  }
  return std::nullopt;
}

bool is_one_of(std::string_view text, std::initializer_list<std::string_view> list) {
  return std::find(list.begin(), list.end(), text) != list.end();
}

bool is_in_read(const ProcessState& state) {
  const bool reads = is_one_of(state.syscall_name, {"read", "pread64", "readv", "openat", "open",
                                                    "newfstatat", "statx", "stat", "fstat"});
  const bool waits = std::string_view(state.wchan).find("fuse") != std::string_view::npos ||
                     is_one_of(state.wchan, {"pipe_read", "wait_for_partner", "request_wait_answer",
                                             "folio_wait_bit_common", "rpc_wait_bit_killable"});
  return reads || waits;
}

int threads_in_futex(const Observation& seen) {
  return static_cast<int>(
      std::count_if(seen.threads.begin(), seen.threads.end(), [](const ProcessState& thread) {
        return thread.state == 'S' &&
               (thread.syscall_name == "futex" || thread.wchan.find("futex") != std::string::npos);
      }));
}

// Tells apart what leaves the same last record: only the kernel knows.
Kind kind_of_stuck(const Observation& seen, bool died_when_killed) {
  const ProcessState& thread = seen.threads[0];
  const Stage stage = seen.incident.entry->stage;
  const bool in_audio =
      stage == Stage::kAudioOpen || stage == Stage::kAudioRead || stage == Stage::kNoiseMix;
  if (thread.is_stopped()) return Kind::kWorkerStopped;
  // A killable sleep looks like D too: one that ended when it was killed was not deaf.
  if (thread.state == 'D' && !died_when_killed) return Kind::kReadUnkillable;
  if (threads_in_futex(seen) >= 2 && thread.state == 'S' && !is_in_read(thread)) {
    return Kind::kWorkerDeadlocked;
  }
  if (in_audio || (stage != Stage::kFeaturize && thread.state != 'R' && is_in_read(thread))) {
    return Kind::kReadBlocked;
  }
  return Kind::kFeaturizerStuck;
}

// The last look at a process that was still there; nullptr: nobody looked in time.
const Observation* telling(const std::vector<const Observation*>& seen) {
  for (auto it = seen.rbegin(); it != seen.rend(); ++it) {
    const char state = (*it)->threads[0].state;
    if (state != 0 && state != 'Z' && state != 'X') return *it;
  }
  return nullptr;
}

const Timeline* worker_timeline(const RunFacts& facts, int rank, int worker) {
  const RankFacts* found = facts.rank(rank);
  if (found == nullptr) return nullptr;
  for (const Timeline* timeline : found->workers) {
    if (timeline->writer.worker == worker) return timeline;
  }
  return nullptr;
}

// What is known of the file and the start of an item from whoever worked on it.
void add_from_records(Verdict& verdict, const Timeline* timeline) {
  if (timeline == nullptr) return;
  const bool is_noise = verdict.stage == Stage::kNoiseMix;
  const Event opening = is_noise ? Event::kNoiseOpening : Event::kAudioOpening;
  for (const Entry& entry : timeline->hot) {
    if (entry.index != verdict.index || entry.batch != verdict.batch ||
        entry.epoch != verdict.epoch) {
      continue;
    }
    if (verdict.since_ns == 0) verdict.since_ns = entry.item_start_ns;
    if (entry.event == Event::kAudioOpening && is_noise && verdict.file.empty()) {
      verdict.evidence.push_back(
          fmt::format("the noise was for {} ({})", as_one_line(entry.text), source(*timeline)));
    } else if (entry.event == opening && verdict.file.empty()) {
      verdict.file = entry.text;
    }
  }
}

void add_observations(Verdict& verdict, const std::vector<const Observation*>& seen) {
  for (const Observation* look : seen) {
    const uint64_t at_ns = look->incident.entry->monotonic_ns;
    if (verdict.detected_ns == 0 || at_ns < verdict.detected_ns) verdict.detected_ns = at_ns;
    verdict.evidence.push_back(evidence_of(*look));
  }
}

// The sample that stopped its rank was not recovered, dummy or not.
bool went_on(const RunFacts& facts, const Incident& dummy) {
  const RankFacts* rank = facts.rank(dummy.rank());
  if (rank == nullptr || rank->newest == nullptr) return true;
  const bool fatal = rank->ended_with(ExitCode::kItemStuck) || rank->ended_with(ExitCode::kFailure);
  const Entry& item = *dummy.entry;
  return !fatal ||
         std::pair(rank->newest->epoch, rank->newest->batch) > std::pair(item.epoch, item.batch);
}

void judge_stuck(const RunFacts& facts, const Incident& dummy, Verdict& verdict) {
  const int rank = dummy.rank();
  const int64_t who = dummy.entry->arg1;
  const std::vector<const Observation*> seen = observations_of(facts, rank, *dummy.entry);
  add_observations(verdict, seen);
  const auto unkillable = of_worker(facts, Event::kUnkillable, rank, who);
  if (unkillable) {
    verdict.kind = Kind::kReadUnkillable;
    verdict.evidence.push_back(evidence_of(*unkillable));
  } else if (const Observation* look = telling(seen)) {
    verdict.kind =
        kind_of_stuck(*look, of_worker(facts, Event::kWorkerExited, rank, who).has_value());
  } else {
    verdict.kind = Kind::kItemStuck;
    verdict.sure = false;
  }
}

void judge_lost_worker(const RunFacts& facts, const Incident& dummy, Verdict& verdict) {
  const auto exited = of_worker(facts, Event::kWorkerExited, dummy.rank(), dummy.entry->arg1);
  if (!exited) {
    verdict.kind = Kind::kItemStuck;
    verdict.sure = false;
    return;
  }
  const int status = static_cast<int>(exited->entry->arg0);
  verdict.kind = WIFSIGNALED(status) ? Kind::kWorkerKilled : Kind::kWorkerExited;
  verdict.detected_ns = exited->entry->monotonic_ns;
  verdict.evidence.push_back(fmt::format("the worker was reaped: {} ({})",
                                         describe_wait_status(status), source(*exited->from)));
}

Kind kind_of_reason(int64_t reason) {
  // By loader::BadItem, from 1.
  constexpr std::array kKinds{Kind::kAudioMissing,    Kind::kAudioUnreadable,
                              Kind::kAudioTruncated,  Kind::kAudioWrongFormat,
                              Kind::kAudioNotFinite,  Kind::kItemThrew,
                              Kind::kAudioWrongFormat};
  const bool known = reason >= 1 && reason <= static_cast<int64_t>(kKinds.size());
  return known ? kKinds[static_cast<size_t>(reason - 1)] : Kind::kItemStuck;
}

Verdict judge_dummy(const RunFacts& facts, const Incident& dummy) {
  const Entry& entry = *dummy.entry;
  Verdict verdict = verdict_at(kind_of_reason(entry.arg0), dummy.rank(), worker_of(entry), entry);
  verdict.recovered = went_on(facts, dummy);
  verdict.file = parse_dummy_text(entry.text).file;
  if (entry.arg0 == kReasonStuck) {
    judge_stuck(facts, dummy, verdict);
  } else if (entry.arg0 == kReasonWorkerLost) {
    judge_lost_worker(facts, dummy, verdict);
  }
  if (verdict.detected_ns == 0) verdict.detected_ns = entry.monotonic_ns;
  for (const Incident& error : facts.of(Event::kError)) {
    if (error.rank() == dummy.rank() && same_item(*error.entry, entry)) {
      verdict.evidence.push_back(evidence_of(error));
    }
  }
  verdict.evidence.push_back(evidence_of(dummy));
  const RankFacts* rank = facts.rank(dummy.rank());
  for (const Timeline* worker : rank->workers) {
    if (worker->writer.worker == verdict.worker) add_from_records(verdict, worker);
  }
  if (verdict.worker < 0) add_from_records(verdict, rank->main);
  if (verdict.since_ns == 0) verdict.since_ns = verdict.detected_ns;
  return verdict;
}

bool has_dummy(const RunFacts& facts, int rank, const Entry& item) {
  const std::vector<Incident> dummies = facts.of(Event::kDummy);
  return std::any_of(dummies.begin(), dummies.end(), [&](const Incident& dummy) {
    return dummy.rank() == rank && same_item(*dummy.entry, item);
  });
}

// Still being worked on when the traces end, with main waiting for it: an item that is merely slow
// is finished later, and one that nobody waits for stops nobody.
bool is_unfinished(const RunFacts& facts, const Observation& seen) {
  const RankFacts* rank = facts.rank(seen.rank);
  if (facts.job_done || rank == nullptr) return false;
  if (rank->ended_with(ExitCode::kItemStuck)) return true;
  const Entry& item = *seen.incident.entry;
  const bool main_waits = rank->newest != nullptr && (rank->newest->stage == Stage::kFetch ||
                                                      is_item_stage(rank->newest->stage));
  if (rank->newest != nullptr && !main_waits) return false;
  const Timeline* works =
      seen.worker < 0 ? rank->main : worker_timeline(facts, seen.rank, seen.worker);
  const Entry* newest = works == nullptr ? nullptr : newest_state(*works);
  if (newest != nullptr) return same_item(*newest, item) && is_item_stage(newest->stage);
  return main_waits && rank->newest->epoch == item.epoch && rank->newest->batch == item.batch;
}

// The worker that main waits for: on the awaited batch, else the one longest at its item.
const Timeline* awaited_worker(const RankFacts& rank, uint64_t now_ns) {
  const Timeline* best = nullptr;
  std::pair<bool, uint64_t> best_claim{false, 0};
  for (const Timeline* worker : rank.workers) {
    const Entry* newest = newest_state(*worker);
    if (newest == nullptr || !is_item_stage(newest->stage)) continue;
    const uint64_t age_ns = elapsed_ns(newest->monotonic_ns, now_ns);
    const bool awaited = newest->epoch == rank.newest->epoch && newest->batch == rank.newest->batch;
    if (age_ns >= kStandsStillNs && std::pair(awaited, age_ns) > best_claim) {
      best = worker;
      best_claim = {awaited, age_ns};
    }
  }
  return best;
}

// Nobody looked, so nobody knows why: it may be stopped, blocked, deadlocked or busy.
Verdict unexplained_item(const Timeline& works, const Entry& newest) {
  Verdict verdict = verdict_at(Kind::kItemStuck, works.writer.rank, works.writer.worker, newest);
  verdict.sure = false;
  verdict.since_ns = newest.item_start_ns;
  verdict.evidence.push_back(newest_evidence(works, newest));
  add_from_records(verdict, &works);
  return verdict;
}

}  // namespace

std::vector<Verdict> bad_items(const RunFacts& facts) {
  std::vector<BadItem> out;
  for (const Incident& dummy : facts.of(Event::kDummy)) {
    if (facts.rank(dummy.rank()) == nullptr) continue;
    out.push_back(
        {judge_dummy(facts, dummy), parse_dummy_text(dummy.entry->text).worker_since_epoch});
  }
  return with_state_left_behind(out);
}

std::vector<Verdict> stuck_items(const RunFacts& facts) {
  std::vector<Verdict> out;
  for (const Observation& seen : facts.observations) {
    const Entry& item = *seen.incident.entry;
    if (item.index < 0 || !is_item_stage(item.stage) || has_dummy(facts, seen.rank, item)) continue;
    const std::vector<const Observation*> all = observations_of(facts, seen.rank, item);
    const Observation* look = telling(all);
    if (all.front() != &seen || look == nullptr || !is_unfinished(facts, seen)) continue;
    Verdict verdict =
        verdict_at(kind_of_stuck(*look, false), seen.rank, seen.worker, *look->incident.entry);
    add_observations(verdict, all);
    const RankFacts* rank = facts.rank(seen.rank);
    add_from_records(verdict,
                     seen.worker < 0 ? rank->main : worker_timeline(facts, seen.rank, seen.worker));
    if (verdict.file.empty()) verdict.file = look->threads[0].file;
    if (verdict.since_ns == 0) verdict.since_ns = verdict.detected_ns;
    if (rank->ending) verdict.evidence.push_back(evidence_of(*rank->ending));
    out.push_back(verdict);
  }
  return out;
}

std::vector<Verdict> lagging_items(const RunFacts& facts) {
  std::vector<Verdict> out;
  for (const auto& [number, rank] : facts.ranks) {
    if (rank.done || facts.job_done) continue;
    const Entry* main = rank.newest;
    const bool old =
        main != nullptr && elapsed_ns(main->monotonic_ns, facts.now_ns) >= kStandsStillNs;
    if (old && is_item_stage(main->stage)) {
      out.push_back(unexplained_item(*rank.main, *main));
    } else if (old && main->stage == Stage::kFetch) {
      const Timeline* worker = awaited_worker(rank, facts.now_ns);
      if (worker != nullptr) out.push_back(unexplained_item(*worker, *newest_state(*worker)));
    } else if (rank.ended_with(ExitCode::kItemStuck) && rank.ending) {
      out.push_back(verdict_from(Kind::kItemStuck, number, *rank.ending));
      out.back().sure = false;
    }
  }
  return out;
}

}  // namespace batch71::diagnose
