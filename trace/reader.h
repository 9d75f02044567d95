// Reads trace files, of writers that run, hang, are stopped, were killed, or never were.
//
// A file is never mapped: it is copied with pread, twice, and only what did not change between the
// copies counts. So a file that is cut, grows or is rewritten while it is read costs records, never
// the reader. Nothing in a file is believed before it was checked against the file's size.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "trace/event.h"
#include "trace/record_abi.h"

namespace batch71::trace {

// A record as read: times on CLOCK_MONOTONIC of the writer's boot.
struct Entry {
  uint64_t sequence = 0;
  uint64_t monotonic_ns = 0;
  uint64_t item_start_ns = 0;
  int64_t index = -1;
  int64_t arg0 = 0;
  int64_t arg1 = 0;
  int32_t epoch = -1;
  int32_t batch = -1;
  Event event{};
  Stage stage{};
  bool is_incident = false;
  std::string text;
};

// Who wrote the file.
struct WriterId {
  Role role{};
  int rank = -1;
  int world_size = 0;
  int worker = -1;
  int generation = 0;
  int pid = 0;
  int tid = 0;
  uint64_t pid_start_ticks = 0;
  uint64_t pid_namespace = 0;
  std::string boot_id;
  std::string host;
};

struct Timeline {
  std::string path;
  WriterId writer;
  std::vector<Entry> hot;        // by sequence
  std::vector<Entry> incidents;  // by sequence
  uint64_t hot_lost = 0;         // overwritten, torn or cut
  uint64_t incidents_lost = 0;
  uint64_t realtime_minus_monotonic_ns = 0;  // to print a time of day
  std::vector<std::string> problems;         // what was wrong with the file, in words
};

// nullopt: not a trace file at all; `why` says so in one line.
std::optional<Timeline> read_timeline(const std::string& path, std::string* why);

struct RunTrace {
  std::string folder;
  std::vector<Timeline> timelines;    // by rank, role, worker, generation
  std::vector<std::string> problems;  // files that could not be read, with the reason
  uint64_t now_ns = 0;  // CLOCK_MONOTONIC if this is the writers' boot, else the newest record
  bool same_boot = false;
};

// Throws UsageError if `folder` is no run folder.
RunTrace read_run(const std::string& folder);

// True if the process that wrote the file still runs here: same boot, same pid namespace (or a
// visible child of it), same pid and start time. False when unknown.
bool writer_is_alive(const WriterId& writer);

}  // namespace batch71::trace
