// Timelines to facts.
#include "diagnose/facts.h"

#include <sys/wait.h>

#include <algorithm>
#include <filesystem>
#include <tuple>

#include "diagnose/texts.h"

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
