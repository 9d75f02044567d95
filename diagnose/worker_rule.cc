// The rule about workers that went while they were on no sample: told, though nothing was lost by it.
#include <fmt/format.h>
#include <sys/wait.h>

#include <algorithm>

#include "diagnose/evidence.h"
#include "diagnose/rules.h"

namespace batch71::diagnose {
namespace {

using trace::Entry;
using trace::Event;

bool same_worker_and_place(const Incident& a, const Incident& b) {
  const Entry& x = *a.entry;
  const Entry& y = *b.entry;
  return a.rank() == b.rank() && x.arg1 == y.arg1 && x.epoch == y.epoch && x.batch == y.batch &&
         x.index == y.index;
}

// At the same place, of the same worker.
bool has(const RunFacts& facts, Event event, const Incident& exited) {
  const std::vector<Incident> all = facts.of(event);
  return std::any_of(all.begin(), all.end(), [&](const Incident& incident) {
    return same_worker_and_place(incident, exited);
  });
}

// How the watch saw the worker before it killed it: stopped; nullptr: otherwise, or not at all.
const Observation* seen_stopped(const RunFacts& facts, const Incident& exited) {
  const Entry& entry = *exited.entry;
  for (const Observation& seen : facts.observations) {
    const Entry& place = *seen.incident.entry;
    if (seen.rank == exited.rank() && seen.worker == worker_of(entry) &&
        place.epoch == entry.epoch && place.batch == entry.batch && place.index == entry.index &&
        seen.threads[0].is_stopped()) {
      return &seen;
    }
  }
  return nullptr;
}

}  // namespace

std::vector<Verdict> idle_workers(const RunFacts& facts) {
  std::vector<Verdict> out;
  for (const Incident& exited : facts.of(Event::kWorkerExited)) {
    if (facts.rank(exited.rank()) == nullptr || has(facts, Event::kDummy, exited)) continue;
    const bool by_watch = has(facts, Event::kKilledByWatch, exited);
    const Observation* stopped = by_watch ? seen_stopped(facts, exited) : nullptr;
    // Killed at its deadline and done in that very moment: merely slow.
    if (by_watch && stopped == nullptr) continue;
    const int status = static_cast<int>(exited.entry->arg0);
    const Kind ended = WIFSIGNALED(status) ? Kind::kWorkerKilled : Kind::kWorkerExited;
    Verdict verdict = verdict_at(stopped != nullptr ? Kind::kWorkerStopped : ended, exited.rank(),
                                 worker_of(*exited.entry), *exited.entry);
    verdict.index = -1;  // the sample that it would have got went to another
    verdict.recovered = true;
    verdict.detected_ns = exited.entry->monotonic_ns;
    if (stopped != nullptr) {
      verdict.detected_ns = stopped->incident.entry->monotonic_ns;
      verdict.evidence.push_back(evidence_of(*stopped));
    }
    verdict.since_ns = verdict.detected_ns;
    verdict.evidence.push_back(
        fmt::format("the worker was reaped, no sample is written down as lost by it: {} ({})",
                    describe_wait_status(status), source(*exited.from)));
    out.push_back(std::move(verdict));
  }
  return out;
}

}  // namespace batch71::diagnose
