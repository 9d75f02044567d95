// What the timelines of a run say, sorted by whom they say it of: the ground that rules stand on.
//
// Facts are never guessed. Where a file is cut, its newest record may not be the newest that there
// was: then a state counts as unknown. All pointers lead into the RunTrace, which must outlive these.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "trace/event.h"
#include "trace/exit_code.h"
#include "trace/process_state.h"
#include "trace/reader.h"

namespace batch71::diagnose {

// What stands still this long is worth a word even where nobody observed it: the default of
// guards.observe_after_ms.
inline constexpr uint64_t kStandsStillNs = 5'000'000'000;
// Watches beat several times a second: a rank without a beat for this long is silent.
inline constexpr uint64_t kSilentNs = 2'000'000'000;

struct Incident {
  const trace::Timeline* from = nullptr;
  const trace::Entry* entry = nullptr;
  int rank() const { return from->writer.rank; }
};

// A watch looked at a process: who, where that one was, what the kernel said of its threads.
struct Observation {
  Incident incident;
  int rank = -1;
  int worker = -1;                           // -1: the rank's main thread
  std::vector<trace::ProcessState> threads;  // the observed one first; never empty
};

struct RankFacts {
  int rank = -1;
  const trace::Timeline* main = nullptr;
  bool has_loader_watch = false;
  bool has_step_watch = false;
  std::vector<const trace::Timeline*> workers;  // newest generation of each
  const trace::Entry* newest = nullptr;         // what main does; nullptr: unknown
  uint64_t last_sign_ns = 0;                    // the newest record of the rank's own process
  bool silence_counts = true;                   // false: a file of that process is cut
  bool done = false;                            // it said so
  std::optional<Incident> ending;               // what it said when it left
  std::optional<int> wait_status;               // what launch saw, as waitpid encodes it
  uint64_t ended_ns = 0;                        // when launch saw it
  std::optional<Incident> ended;

  std::optional<int> exit_code() const;  // from its own words, else from launch
  int killed_by() const;                 // the signal, 0 for none
  bool ended_with(ExitCode code) const { return exit_code() == static_cast<int>(code); }
};

struct RunFacts {
  std::map<int, RankFacts> ranks;
  std::vector<Incident> incidents;        // of all timelines, by time
  std::vector<Observation> observations;  // by time
  int world_size = 0;                     // 0: unknown
  uint64_t now_ns = 0;                    // now while somebody lives, else where the traces end
  bool job_done = false;                  // some rank said that the job ended as planned
  bool cut = false;                       // a file is cut, damaged or cannot be read
  bool lacks_ranks = false;               // some rank's main left no trace, though it had the time
  std::vector<std::string> missing;       // files of watches that were there, by what main says

  bool lacks_files() const { return lacks_ranks || !missing.empty(); }

  const RankFacts* rank(int rank) const;
  std::vector<Incident> of(trace::Event event) const;
  // Where ranks say that they end with that code: as a symptom at once, as an ending after the grace.
  std::vector<Incident> endings(ExitCode code) const;
};

RunFacts gather(const trace::RunTrace& run);

// False if records at the file's end are missing, so that its newest one may not be the newest.
bool is_whole(const trace::Timeline& timeline);
// "rank1.loader-watch.b71"
std::string source(const trace::Timeline& timeline);
// The newest thing that this thread does; nullptr: nothing yet, or unknown.
const trace::Entry* newest_state(const trace::Timeline& timeline);
// later - earlier, 0 where that would be negative or where either is unknown.
uint64_t elapsed_ns(uint64_t earlier, uint64_t later);

// arg1 of the incidents of workers: worker * 65536 + generation.
inline int worker_of(const trace::Entry& entry) {
  return entry.arg1 < 0 ? -1 : static_cast<int>(entry.arg1 >> 16 & 0x7FFF'FFFF);
}

}  // namespace batch71::diagnose
