// The config that a run really uses: the user's YAML with the command line's overrides, written
// beside the traces, so that a run folder says what it was.
#pragma once

#include <cstdint>
#include <string>

namespace batch71::cli {

struct Overrides {
  int64_t steps = -1;       // trainer.max_steps; -1: as the file says
  bool guards_off = false;  // every deadline off, bad items stop their worker
};

// Checks the user's file first (UsageError names its file and line), then writes `out_path` with the
// manifest's path made absolute.
void write_run_config(const std::string& config_path, const Overrides& overrides,
                      const std::string& out_path);

// Reads the manifest as each rank will, so that what is wrong with it is told once, before any rank is
// started. UsageError.
void check_data(const std::string& config_path, int num_ranks);

}  // namespace batch71::cli
