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

struct Diagnosis {
  std::vector<Verdict> verdicts;  // the cause first; never empty
  bool finished = false;          // every rank said done
  int ranks_seen = 0;
  int world_size = 0;
  std::vector<std::string> problems;  // of the trace files
};

Diagnosis diagnose(const trace::RunTrace& run);

// "rank 1 worker 0: item 2274 of batch 71 (epoch 0) blocked in audio_read of /corpus/x.wav since 1.0 s: ..."
// The same on every rank that reads the same traces: durations rounded down to seconds are left out.
std::string one_line(const Verdict& verdict);
// One screen for a person; `colour` only on a terminal.
std::string to_screen(const Diagnosis& diagnosis, bool colour);
std::string to_json(const Diagnosis& diagnosis);

}  // namespace batch71::diagnose
