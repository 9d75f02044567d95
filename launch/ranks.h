// Starts the ranks of a job on this machine as torchrun would, and sees to their end.
//
// Environment of rank r: RANK, LOCAL_RANK, WORLD_SIZE, LOCAL_WORLD_SIZE, MASTER_ADDR (127.0.0.1),
// MASTER_PORT (a free one), BATCH71_CONFIG, BATCH71_LEDGER, BATCH71_RUN_DIR, and OMP_NUM_THREADS,
// OPENBLAS_NUM_THREADS, MKL_NUM_THREADS = 1; they must be there before exec, since the libraries read
// them while they load.
// How each rank began and ended is written to `run_folder`/launch.b71 (kRankStarted, kRankEnded).
// Ranks that are stopped (SIGSTOP) when others have to be ended, or all at once, are written down there
// too (kObservation); of the latter nobody is left who could end the job, so it is ended from here.
// When a rank ends other than with 0, the others get `end_grace_ms`, then SIGTERM, then SIGKILL. A
// rank that is deaf to SIGKILL (state D) is named, left, and never waited for.
// Threads: all from the one that made it (PR_SET_PDEATHSIG, see process.h), but `request_stop`.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "launch/process.h"

namespace batch71::launch {

struct RanksSpec {
  std::vector<std::string> argv;  // the program of one rank
  int world_size = 1;
  std::string run_folder;     // BATCH71_RUN_DIR; empty: tracing off
  std::string config_path;    // BATCH71_CONFIG; empty: not set
  std::string ledger_folder;  // BATCH71_LEDGER is rank<r>.jsonl in it; empty: not set
  std::string
      output_folder;  // stdout and stderr to rank<r>.log; empty: ours, "[rank r] " before each line
  std::string working_folder;         // empty: ours
  Environment env;                    // of every rank; wins over the above
  std::vector<Environment> rank_env;  // of rank r; wins over `env`; may be shorter than world_size
  int deadline_ms = -1;               // of the whole job; -1: none
  int end_grace_ms = 5'000;           // from the first bad end to SIGTERM for the others
  int term_ms = 2'000;                // from SIGTERM to SIGKILL
  int kill_ms = 1'000;                // from SIGKILL to leaving it
  int all_stopped_ms = 60'000;        // from when all ranks are seen stopped to SIGTERM
  bool ends_groups = false;  // a rank's process group ends with it; false: what it leaves stays
};

struct RankEnd {
  int rank = 0;
  int pid = 0;
  bool ended = false;  // false: it still runs, or was left
  int exit_code = -1;  // -1: ended by a signal, or not ended
  int signal = 0;
  bool ended_by_us = false;  // we had sent it SIGTERM or SIGKILL
  bool deaf = false;         // outlived SIGKILL: left
  uint64_t start_monotonic_ns = 0;
  uint64_t end_monotonic_ns = 0;
};

enum class EndReason { kRunning, kAllEnded, kRankFailed, kDeadline, kStopped, kAllRanksStopped };
std::string_view name(EndReason reason);

class Ranks {
 public:
  // Starts them. Throws std::runtime_error if one cannot be started; the others are ended then.
  explicit Ranks(RanksSpec spec);
  ~Ranks();  // bounded: ends what still runs
  Ranks(const Ranks&) = delete;
  Ranks& operator=(const Ranks&) = delete;

  // Waits for the next event, at most `timeout_ms`, and deals with it. False: all have ended or were
  // left. `wake_fd` (-1: none): returns also when it is readable.
  bool step(int timeout_ms, int wake_fd = -1);
  // From any thread or signal handler: ends all ranks, through the steps that follow.
  void request_stop() noexcept;

  const std::vector<RankEnd>& ends() const;
  EndReason reason() const;  // why the ending began
  // True for a process that `step` will reap.
  bool owns(pid_t pid) const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace batch71::launch
