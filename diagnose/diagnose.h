// From a run folder to verdicts: the folder is all that is looked at.
//
// Use from any process, while the job runs or long after. Pure function of the traces (and of the
// clock, to say how long something has been stuck). Deterministic: the same traces, the same verdicts.
#pragma once

#include <string>
#include <vector>

#include "diagnose/verdict.h"
#include "trace/reader.h"

namespace batch71::diagnose {

// A rank as the traces last saw it.
struct RankRow {
  int rank = -1;
  std::string state;  // "works", "waits", "stands still", "stopped", "killed", "done", ...
  int32_t epoch = -1;
  int32_t batch = -1;
  trace::Stage stage = trace::Stage::kNone;
  uint64_t since_ns = 0;  // CLOCK_MONOTONIC: when that stage began; 0: unknown
  std::string waits_for;  // "rank 1", "worker 0", "" for nobody
};

struct Diagnosis {
  std::vector<Verdict> verdicts;  // the cause first; never empty
  bool finished = false;          // every rank said done
  int ranks_seen = 0;
  int world_size = 0;
  std::vector<RankRow> ranks;         // by rank
  std::vector<std::string> problems;  // of the trace files
  std::vector<std::string> notes;     // worth knowing, and no cause of anything
  uint64_t now_ns = 0;  // what durations are held against: now, or where the traces end
};

Diagnosis diagnose(const trace::RunTrace& run);

// "rank 1 worker 0: item 2274 of batch 71 (epoch 0) in audio_read of /corpus/x.wav: the worker is ..."
// The same on every rank that reads the same traces: no durations, no sureness.
std::string one_line(const Verdict& verdict);
// One line a verdict, the cause first; past a screenful only how many there are more. Only "nothing wrong"
// is marked where it is not sure: it speaks of the whole folder, and would be false there.
std::vector<std::string> headlines(const std::vector<Verdict>& verdicts);
// One screen for a person; `colour` only on a terminal.
std::string to_screen(const Diagnosis& diagnosis, bool colour);
// Keys: docs/verdicts.md. Always valid UTF-8.
std::string to_json(const Diagnosis& diagnosis);

}  // namespace batch71::diagnose
