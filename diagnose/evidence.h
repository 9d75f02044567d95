// Sentences of evidence, each with the trace file that it comes from, and places of verdicts.
#pragma once

#include <string>

#include "diagnose/facts.h"
#include "diagnose/verdict.h"

namespace batch71::diagnose {

// "in audio_read of item 568, state S in pipe_read, system call read, ... (rank1.loader-watch.b71)"
std::string evidence_of(const Observation& seen);
// "dummy: reason=stuck ... (rank1.loader-watch.b71)": the first line of its text.
std::string evidence_of(const Incident& incident);
// "its newest record: forward_called, batch 71 (rank1.main.b71)"
std::string newest_evidence(const trace::Timeline& timeline, const trace::Entry& newest);
// "killed by signal 9", "exited with code 3"
std::string describe_wait_status(int wait_status);

// A verdict at the entry's place: epoch, batch, index, stage.
Verdict verdict_at(Kind kind, int rank, int worker, const trace::Entry& place);
// A verdict that an incident states by itself: its place, its time, its text.
Verdict verdict_from(Kind kind, int rank, const Incident& incident);

}  // namespace batch71::diagnose
