// The rule about workers whose every replacement dies: one verdict, with the single deaths as its evidence.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <string_view>

#include "diagnose/evidence.h"
#include "diagnose/rules.h"
#include "diagnose/texts.h"

namespace batch71::diagnose {
namespace {

using trace::Entry;
using trace::Event;

constexpr std::string_view kKey = "deaths_in_a_row";

std::vector<Incident> said_loops(const RunFacts& facts) {
  std::vector<Incident> out = facts.of(Event::kLost);
  std::erase_if(out, [&](const Incident& lost) {
    return !lost.entry->text.starts_with("crash loop") || facts.rank(lost.rank()) == nullptr;
  });
  return out;
}

// Ranks say that they end of one, and the words of the rank that has it are cut off.
bool is_hearsay(const RunFacts& facts) {
  return said_loops(facts).empty() && !facts.endings(ExitCode::kCrashLoop).empty();
}

// How often each worker of that rank had died since it last finished a sample.
std::vector<size_t> deaths_by_worker(const Incident& loop) {
  std::vector<size_t> out;
  std::string_view numbers = word(loop.entry->text, kKey);
  while (!numbers.empty()) {
    const std::string_view digits = numbers.substr(0, numbers.find(','));
    size_t deaths = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), deaths);
    out.push_back(deaths);
    numbers.remove_prefix(std::min(numbers.size(), digits.size() + 1));
  }
  return out;
}

bool was_killed_by_watch(const RunFacts& facts, const Incident& exited) {
  const std::vector<Incident> killed = facts.of(Event::kKilledByWatch);
  return std::any_of(killed.begin(), killed.end(), [&](const Incident& kill) {
    return kill.rank() == exited.rank() && kill.entry->arg1 == exited.entry->arg1;
  });
}

// The deaths that make up the loop, by time; as far as their records are there.
std::vector<Incident> deaths_of(const RunFacts& facts, const Incident& loop) {
  std::vector<size_t> left = deaths_by_worker(loop);
  std::vector<Incident> exits = facts.of(Event::kWorkerExited);
  std::vector<Incident> out;
  for (auto exited = exits.rbegin(); exited != exits.rend(); ++exited) {
    const int worker = worker_of(*exited->entry);
    const bool counts =
        exited->rank() == loop.rank() && worker >= 0 && static_cast<size_t>(worker) < left.size() &&
        left[static_cast<size_t>(worker)] > 0 && exited->entry->sequence < loop.entry->sequence &&
        !was_killed_by_watch(facts, *exited);
    if (!counts) continue;
    --left[static_cast<size_t>(worker)];
    out.push_back(*exited);
  }
  std::reverse(out.begin(), out.end());
  return out;
}

bool is_told_of(const Verdict& verdict, const Incident& death) {
  const Entry& entry = *death.entry;
  return (verdict.kind == Kind::kWorkerKilled || verdict.kind == Kind::kWorkerExited) &&
         verdict.rank == death.rank() && verdict.worker == worker_of(entry) &&
         verdict.detected_ns == entry.monotonic_ns;
}

Verdict verdict_of(const RunFacts& facts, const Incident& loop) {
  const int worker = worker_of(*loop.entry);
  const std::vector<size_t> deaths = deaths_by_worker(loop);
  Verdict verdict = verdict_from(Kind::kCrashLoop, loop.rank(), loop);
  verdict.worker = worker;
  verdict.sure = worker >= 0 && static_cast<size_t>(worker) < deaths.size();
  const std::string how = describe_wait_status(static_cast<int>(loop.entry->arg0));
  verdict.what = verdict.sure ? fmt::format("{} times in a row, at last {}",
                                            deaths[static_cast<size_t>(worker)], how)
                              : fmt::format("at last {}", how);
  for (const Incident& death : deaths_of(facts, loop)) {
    const Entry& entry = *death.entry;
    const std::string at = entry.index < 0 ? "" : fmt::format(" at sample {}", entry.index);
    verdict.since_ns = std::min(verdict.since_ns, entry.monotonic_ns);
    verdict.evidence.push_back(fmt::format("worker {} was reaped{}: {} ({})", worker_of(entry), at,
                                           describe_wait_status(static_cast<int>(entry.arg0)),
                                           source(*death.from)));
  }
  return verdict;
}

// All ranks end with the same code: only the one whose workers ended has the loop.
Verdict hearsay(const RunFacts& facts) {
  const std::vector<Incident> exits = facts.of(Event::kWorkerExited);
  const int rank = exits.empty() ? -1 : exits.back().rank();
  Verdict verdict =
      verdict_from(Kind::kCrashLoop, rank, facts.endings(ExitCode::kCrashLoop).front());
  verdict.stage = trace::Stage::kNone;
  verdict.sure = false;
  return verdict;
}

}  // namespace

std::vector<Verdict> crash_loops(const RunFacts& facts) {
  std::vector<Verdict> out;
  if (is_hearsay(facts)) out.push_back(hearsay(facts));
  for (const Incident& loop : said_loops(facts)) out.push_back(verdict_of(facts, loop));
  return out;
}

void drop_deaths_of_loops(const RunFacts& facts, std::vector<Verdict>& verdicts) {
  if (is_hearsay(facts)) {
    std::erase_if(verdicts, [](const Verdict& verdict) {
      return verdict.kind == Kind::kWorkerKilled || verdict.kind == Kind::kWorkerExited;
    });
  }
  for (const Incident& loop : said_loops(facts)) {
    const std::vector<Incident> deaths = deaths_of(facts, loop);
    std::erase_if(verdicts, [&](const Verdict& verdict) {
      return std::any_of(deaths.begin(), deaths.end(),
                         [&](const Incident& death) { return is_told_of(verdict, death); });
    });
  }
}

}  // namespace batch71::diagnose
