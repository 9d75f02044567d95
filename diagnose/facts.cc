// Timelines to facts.
#include "diagnose/facts.h"

#include <sys/wait.h>

#include <algorithm>
#include <filesystem>
#include <tuple>

#include "diagnose/texts.h"
#include "trace/writer.h"

namespace batch71::diagnose {
namespace {

using trace::Entry;
using trace::Event;
using trace::Role;
using trace::Timeline;

// A world size beyond this is a damaged header.
constexpr int kMaxWorldSize = 65'536;

bool is_plausible_rank(int rank) { return rank >= 0 && rank < kMaxWorldSize; }

RankFacts& rank_at(RunFacts& facts, int rank) {
  RankFacts& found = facts.ranks[rank];
  found.rank = rank;
  return found;
}

uint64_t last_record_ns(const Timeline& timeline) {
  uint64_t newest = 0;
  for (const auto* list : {&timeline.hot, &timeline.incidents}) {
    if (!list->empty()) newest = std::max(newest, list->back().monotonic_ns);
  }
  return newest;
}

uint64_t first_record_ns(const Timeline& timeline) {
  uint64_t oldest = UINT64_MAX;
  for (const auto* list : {&timeline.hot, &timeline.incidents}) {
    if (!list->empty()) oldest = std::min(oldest, list->front().monotonic_ns);
  }
  return oldest;
}

void add_worker(RankFacts& rank, const Timeline& timeline) {
  for (const Timeline*& known : rank.workers) {
    if (known->writer.worker != timeline.writer.worker) continue;
    if (known->writer.generation < timeline.writer.generation) known = &timeline;
    return;
  }
  rank.workers.push_back(&timeline);
}

void add_timeline(RunFacts& facts, const Timeline& timeline) {
  facts.cut = facts.cut || !timeline.problems.empty();
  for (const Entry& entry : timeline.incidents) facts.incidents.push_back({&timeline, &entry});
  if (!is_plausible_rank(timeline.writer.rank)) return;
  RankFacts& rank = rank_at(facts, timeline.writer.rank);
  if (timeline.writer.world_size > 0 && timeline.writer.world_size <= kMaxWorldSize) {
    facts.world_size = std::max(facts.world_size, timeline.writer.world_size);
  }
  rank.has_loader_watch |= timeline.writer.role == Role::kLoaderWatch;
  rank.has_step_watch |= timeline.writer.role == Role::kStepWatch;
  switch (timeline.writer.role) {
    case Role::kMain:
      rank.main = &timeline;
      rank.newest = newest_state(timeline);
      [[fallthrough]];
    case Role::kLoaderWatch:
    case Role::kStepWatch:
      rank.last_sign_ns = std::max(rank.last_sign_ns, last_record_ns(timeline));
      rank.silence_counts = rank.silence_counts && is_whole(timeline);
      break;
    case Role::kWorker: add_worker(rank, timeline); break;
    case Role::kZygote:
    case Role::kLaunch: break;
  }
}

Observation to_observation(const Incident& incident) {
  Observation seen{incident, -1, -1, {}};
  std::string_view text = incident.entry->text;
  const Who who = parse_who(text);
  seen.rank = who.rank;
  seen.worker = who.worker;
  while (!text.empty()) {
    const std::string_view line = first_line(text);
    if (const auto state = trace::parse_process_state(line)) seen.threads.push_back(*state);
    text.remove_prefix(std::min(line.size() + 1, text.size()));
  }
  return seen;
}

void take_incident(RunFacts& facts, const Incident& incident) {
  const Entry& entry = *incident.entry;
  const bool by_launch = incident.from->writer.role == Role::kLaunch;
  if (entry.event == Event::kRankEnded && by_launch && entry.arg1 >= 0 &&
      entry.arg1 < kMaxWorldSize) {
    RankFacts& rank = rank_at(facts, static_cast<int>(entry.arg1));
    rank.wait_status = static_cast<int>(entry.arg0);
    rank.ended_ns = entry.monotonic_ns;
    rank.ended = incident;
  } else if (entry.event == Event::kRankStarted && by_launch && entry.arg1 >= 0 &&
             entry.arg1 < kMaxWorldSize) {
    rank_at(facts, static_cast<int>(entry.arg1));
  } else if (entry.event == Event::kObservation) {
    Observation seen = to_observation(incident);
    if (is_plausible_rank(seen.rank) && !seen.threads.empty()) {
      facts.observations.push_back(std::move(seen));
    }
  } else if (entry.event == Event::kDone && is_plausible_rank(incident.rank())) {
    rank_at(facts, incident.rank()).done = true;
    facts.job_done = true;
  } else if (entry.event == Event::kEnding && is_plausible_rank(incident.rank())) {
    RankFacts& rank = rank_at(facts, incident.rank());
    if (!rank.ending) rank.ending = incident;
  }
}

bool beats(const Timeline& timeline) {
  return std::any_of(timeline.hot.begin(), timeline.hot.end(),
                     [](const Entry& entry) { return entry.event == Event::kBeat; });
}

// While a watch beats, time goes on for what stands still. Once all are silent it ends with them:
// a job that was killed as a whole must not look as if it had hung ever since. Without any watch
// nobody can tell these two apart, and time goes on.
uint64_t end_of_time_ns(const trace::RunTrace& run) {
  uint64_t last_ns = 0;
  for (const Timeline& timeline : run.timelines) {
    last_ns = std::max(last_ns, last_record_ns(timeline));
  }
  const bool watched = std::any_of(run.timelines.begin(), run.timelines.end(), beats);
  const bool lives = !watched || elapsed_ns(last_ns, run.now_ns) < kSilentNs;
  return run.same_boot && lives ? run.now_ns : last_ns;
}

bool has_incident(const Timeline& timeline, Event event) {
  return std::any_of(timeline.incidents.begin(), timeline.incidents.end(),
                     [&](const Entry& entry) { return entry.event == event; });
}

// Ranks begin one after the other, and each of their threads makes its own file. Who agrees on an epoch
// has met all others.
bool may_still_begin(const RunFacts& facts) {
  if (facts.job_done) return false;
  uint64_t begin_ns = facts.now_ns;
  for (const auto& [number, rank] : facts.ranks) {
    if (rank.ending || rank.wait_status) return false;
    if (rank.main == nullptr) continue;
    if (has_incident(*rank.main, Event::kAgreementText)) return false;
    begin_ns = std::min(begin_ns, first_record_ns(*rank.main));
  }
  return elapsed_ns(begin_ns, facts.now_ns) < kStandsStillNs;
}

// Files that were not copied, or were removed. Every rank of the job has a main; which watches it has only
// its main can tell, since a program may use `trace/` alone. These two incidents, which no newer record
// overwrites, say so: a loader has its watch with workers and without, and who agrees on an epoch has the
// other. Workers' files are not asked for: what became of a sample is in the loader watch's.
void find_missing_files(RunFacts& facts) {
  if (may_still_begin(facts)) return;
  for (int number = 0; number < facts.world_size; ++number) {
    const RankFacts* rank = facts.rank(number);
    facts.lacks_ranks = facts.lacks_ranks || rank == nullptr || rank->main == nullptr;
  }
  for (const auto& [number, rank] : facts.ranks) {
    if (rank.main == nullptr) continue;
    if (!rank.has_loader_watch && has_incident(*rank.main, Event::kLoaderCreated)) {
      facts.missing.push_back(trace::file_name({Role::kLoaderWatch, number}));
    }
    if (!rank.has_step_watch && has_incident(*rank.main, Event::kAgreementText)) {
      facts.missing.push_back(trace::file_name({Role::kStepWatch, number}));
    }
  }
}

}  // namespace

std::optional<int> RankFacts::exit_code() const {
  if (ending) return static_cast<int>(ending->entry->arg0);
  if (wait_status && WIFEXITED(*wait_status)) return WEXITSTATUS(*wait_status);
  return std::nullopt;
}

int RankFacts::killed_by() const {
  return wait_status && WIFSIGNALED(*wait_status) ? WTERMSIG(*wait_status) : 0;
}

const RankFacts* RunFacts::rank(int rank) const {
  const auto found = ranks.find(rank);
  return found == ranks.end() ? nullptr : &found->second;
}

std::vector<Incident> RunFacts::of(Event event) const {
  std::vector<Incident> out;
  for (const Incident& incident : incidents) {
    if (incident.entry->event == event) out.push_back(incident);
  }
  return out;
}

std::vector<Incident> RunFacts::endings(ExitCode code) const {
  std::vector<Incident> out = incidents;
  std::erase_if(out, [&](const Incident& incident) {
    const trace::Entry& entry = *incident.entry;
    const bool speaks =
        entry.event == trace::Event::kEnding || entry.event == trace::Event::kSymptom;
    return !speaks || entry.arg0 != static_cast<int>(code) || rank(incident.rank()) == nullptr;
  });
  return out;
}

RunFacts gather(const trace::RunTrace& run) {
  RunFacts facts;
  facts.cut = !run.problems.empty();
  for (const Timeline& timeline : run.timelines) add_timeline(facts, timeline);
  std::stable_sort(facts.incidents.begin(), facts.incidents.end(),
                   [](const Incident& a, const Incident& b) {
                     return a.entry->monotonic_ns < b.entry->monotonic_ns;
                   });
  for (const Incident& incident : facts.incidents) take_incident(facts, incident);
  facts.now_ns = end_of_time_ns(run);
  find_missing_files(facts);
  return facts;
}

bool is_whole(const Timeline& timeline) { return timeline.problems.empty(); }

std::string source(const Timeline& timeline) {
  return as_one_line(std::filesystem::path(timeline.path).filename().string());
}

const Entry* newest_state(const Timeline& timeline) {
  return is_whole(timeline) && !timeline.hot.empty() ? &timeline.hot.back() : nullptr;
}

uint64_t elapsed_ns(uint64_t earlier, uint64_t later) {
  return earlier == 0 || later < earlier ? 0 : later - earlier;
}

}  // namespace batch71::diagnose
