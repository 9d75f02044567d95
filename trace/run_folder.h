// Where a run's traces live: creates, finds and prunes run folders.
//
// Root: $BATCH71_TRACE_DIR, else /dev/shm/batch71-UID. A run folder is `run-YYYYmmdd-HHMMSS-PID`,
// mode 0700, its files 0600. `latest` is a symbolic link in the root, moved atomically.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace batch71::trace {

std::string trace_root();

// Creates the root (if need be) and a new run folder in it. Throws UsageError where that cannot be, or where
// another user made the root in a place where all may write.
std::string create_run_folder(const std::string& root);

// Of a job that a launcher starts again: the folder in `run_folder` of that attempt, from 0.
std::string attempt_folder(const std::string& run_folder, int attempt);

// Makes a folder that its user only named, and the one that it lies in, 0700; what is there stays as it
// is. What is refused shows when a writer is made: it never ends a trainer.
void make_run_folder(const std::string& folder);

// Points `root`/latest at `run_folder`. For a person's commands, never for tests.
void set_latest(const std::string& root, const std::string& run_folder);

// "latest" or a path, checked: it exists, is a folder and holds at least one trace file. Where it has
// attempts instead: the newest of them. Throws UsageError, with the remedy, where it does not.
std::string resolve_run_folder(const std::string& name_or_path);

// Moves what an earlier attempt of the rank wrote from the run folder into its earlier0, earlier1, ..., each
// a run folder again: a shell loop starts all attempts in the same one. Before the rank's first Writer.
// Returns a line for each leftover: a writer of such a file that still runs. An empty folder: nothing.
std::vector<std::string> set_aside(const std::string& run_folder, int rank);

struct PruneLimits {
  int keep_count = 20;
  uint64_t keep_bytes = uint64_t{512} << 20;
};
// Removes the oldest run folders beyond the limits; never one whose writer still lives.
void prune(const std::string& root, const PruneLimits& limits);

}  // namespace batch71::trace
