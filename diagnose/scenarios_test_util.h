// Runs that went wrong, one for each kind of verdict: what the traces hold and what must be said.
#pragma once

#include <ostream>
#include <vector>

#include "diagnose/run_folder_test_util.h"

namespace batch71::diagnose {

struct Scenario {
  const char* name;
  void (*build)(RunFolderBuilder&);
  Verdict headline;  // kind, rank, worker, batch, index, file, stage, recovered, sure; what, if any
};

const std::vector<Scenario>& scenarios();
inline void PrintTo(const Scenario& scenario, std::ostream* out) { *out << scenario.name; }

}  // namespace batch71::diagnose
