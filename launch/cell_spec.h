// What a cell is to do and what came of it: plain data, and as JSON (the file that replays a case).
//
// All paths are absolute. A file that lacks a key, or is no JSON: UsageError with its name.
#pragma once

#include <string>
#include <vector>

#include "launch/ranks.h"

namespace batch71::launch {

struct BindMount {
  std::string source;
  std::string target;  // must exist, unless it lies under /tmp or /dev/shm (fresh in a cell)
  bool read_only = false;
};

// A program that runs beside the subject: a file server, a watcher, one that strikes. It is told
// READY_FD and writes one line to it when it is ready; the ranks start after all helpers are.
struct HelperSpec {
  std::string name;  // its output goes to `case_folder`/<name>.log
  std::vector<std::string> argv;
  Environment env;
  int ready_deadline_ms = 10'000;
  int release_after_ms = -1;  // SIGTERM so long after the ranks' start; -1: after they ended
  int stop_grace_ms = 1'000;  // from its SIGTERM to its SIGKILL
};

struct CellSpec {
  std::string case_folder;  // cell.json, cell.log and the helpers' logs are written here
  std::vector<std::string>
      kept_folders;                 // further ones under /tmp or /dev/shm that are seen inside
  std::vector<BindMount> mounts;    // in this order, before the helpers
  std::vector<HelperSpec> helpers;  // started in this order, released in the opposite one
  RanksSpec ranks;                  // its run, output and ledger folders are seen inside, too
  int leftover_grace_ms = 2'000;    // for processes to go after the helpers were released
};

struct HelperEnd {
  std::string name;
  int pid = 0;
  bool was_ready = false;
  bool ended = false;
  int exit_code = -1;  // -1: ended by a signal, or not ended
  int signal = 0;
  uint64_t ready_monotonic_ns = 0;
  uint64_t end_monotonic_ns = 0;
};

// What is still there although everything was over.
struct Leftovers {
  std::vector<std::string> processes;  // "pid=17 name=sleep state=S wchan=..."
  std::vector<std::string> files;      // in /dev/shm, /tmp and /var/tmp
  std::vector<std::string> mounts;     // mount points
  std::vector<std::string> segments;   // System V shared memory
  bool empty() const {
    return processes.empty() && files.empty() && mounts.empty() && segments.empty();
  }
};

struct CellResult {
  std::string error;  // the cell itself failed (setup, helper not ready, killed); empty: it did not
  std::string reason;  // name(EndReason)
  std::vector<RankEnd> ranks;
  std::vector<HelperEnd> helpers;
  Leftovers leftovers;
};

std::string to_json(const CellSpec& spec);
std::string to_json(const CellResult& result);
CellSpec read_cell_spec(const std::string& path);
CellResult read_cell_result(const std::string& path);

}  // namespace batch71::launch
