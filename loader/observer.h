// Looks at a thread that is late, and writes down what the kernel and its own trace say.
#pragma once

#include <string>

#include "trace/event.h"
#include "trace/writer.h"

namespace batch71::loader {

struct Suspect {
  std::string who;  // "rank1.worker0", "rank1.main"
  int pid = 0;
  std::string trace_path;  // of its trace; may not exist
  bool list_threads = false;
};

// The stage of the newest record in a trace file; kNone if there is none.
trace::Stage newest_stage(const std::string& trace_path);

// Writes an observation at `place`; returns the suspect's stage.
trace::Stage observe(const Suspect& suspect, const trace::Place& place, trace::Writer& trace);

}  // namespace batch71::loader
