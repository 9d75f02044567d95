// Sentences of evidence.
#include "diagnose/evidence.h"

#include <fmt/format.h>
#include <sys/wait.h>

#include "diagnose/texts.h"

namespace batch71::diagnose {
namespace {

std::string describe(const trace::ProcessState& state) {
  if (state.state == 0) return "gone";
  std::string out = fmt::format("state {}", state.state);
  if (!state.wchan.empty()) out += " in " + state.wchan;
  if (!state.syscall_name.empty()) out += ", system call " + state.syscall_name;
  if (!state.file.empty()) out += ", file " + state.file;
  return out + fmt::format(", CPU time {} ms", state.cpu_ns / 1'000'000);
}

}  // namespace

std::string evidence_of(const Observation& seen) {
  const trace::Entry& entry = *seen.incident.entry;
  std::string who = seen.worker >= 0 ? fmt::format("worker {}", seen.worker) : "main";
  std::string out = fmt::format("rank {} {} (pid {}) was seen", seen.rank, who, entry.arg0);
  if (entry.stage != trace::Stage::kNone) out += fmt::format(" in {}", trace::name(entry.stage));
  out += ": " + describe(seen.threads[0]);
  for (size_t i = 1; i < seen.threads.size(); ++i) {
    out += "; another thread: " + describe(seen.threads[i]);
  }
  return as_one_line(out) + " (" + source(*seen.incident.from) + ")";
}

std::string evidence_of(const Incident& incident) {
  const trace::Entry& entry = *incident.entry;
  std::string out(trace::name(entry.event));
  if (entry.index >= 0) out += fmt::format(" of item {}", entry.index);
  if (entry.stage != trace::Stage::kNone) out += fmt::format(" in {}", trace::name(entry.stage));
  if (!entry.text.empty()) out += ": " + as_one_line(first_line(entry.text));
  return out + " (" + source(*incident.from) + ")";
}

std::string newest_evidence(const trace::Timeline& timeline, const trace::Entry& newest) {
  std::string out = fmt::format("its newest record is {}", trace::name(newest.event));
  if (newest.index >= 0) out += fmt::format(" of item {}", newest.index);
  if (newest.batch >= 0) out += fmt::format(" of batch {}", newest.batch);
  return out + " (" + source(timeline) + ")";
}

std::string describe_wait_status(int wait_status) {
  return WIFSIGNALED(wait_status) ? fmt::format("killed by signal {}", WTERMSIG(wait_status))
                                  : fmt::format("exited with code {}", WEXITSTATUS(wait_status));
}

Verdict verdict_at(Kind kind, int rank, int worker, const trace::Entry& place) {
  Verdict verdict;
  verdict.kind = kind;
  verdict.rank = rank;
  verdict.worker = worker;
  verdict.epoch = place.epoch;
  verdict.batch = place.batch;
  verdict.index = place.index;
  verdict.stage = place.stage;
  return verdict;
}

Verdict verdict_from(Kind kind, int rank, const Incident& incident) {
  Verdict verdict = verdict_at(kind, rank, -1, *incident.entry);
  verdict.index = -1;
  // Last words are spoken in shutdown; that is not where it happened.
  if (verdict.stage == trace::Stage::kShutdown) verdict.stage = trace::Stage::kNone;
  verdict.since_ns = verdict.detected_ns = incident.entry->monotonic_ns;
  verdict.evidence.push_back(evidence_of(incident));
  return verdict;
}

}  // namespace batch71::diagnose
