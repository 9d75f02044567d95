// One rank's training job: rendezvous, agreement, step loop, watch, one way out.
//
// `run_job` is what a subject's main calls. It returns the exit code when the job ends as planned; on
// anything fatal it leaves the process through the step watch (incident, verdict, _exit), also while
// main is inside backward(). Throws UsageError before anything is trained.
// Environment: RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT (env://), TORCHELASTIC_USE_AGENT_STORE,
// TORCHELASTIC_RESTART_COUNT; BATCH71_RUN_DIR (traces; unset: tracing off), BATCH71_LEDGER.
#pragma once

#include <functional>
#include <string>

#include "ddp/model_factory.h"
#include "loader/config.h"
#include "loader/dataset.h"
#include "loader/featurizer.h"
#include "trace/exit_code.h"

namespace batch71::ddp {

// The `trainer:` section of the YAML file.
struct Trainer {
  int64_t max_steps = -1;  // over all epochs; -1: no limit
  int max_epochs = 1;
  double lr = 0.05;
  int64_t model_seed = 0;
};

struct JobConfig {
  loader::Config loader;
  Trainer trainer;
};
JobConfig load_job_config(const std::string& path);

struct Seams {
  loader::DatasetFactory dataset;
  loader::FeaturizerFactory featurizer;
  ModelFactory model;
  // Reads the run folder and says what happened, one line a verdict ("" when nothing did). The
  // subject connects it to diagnose; called on a thread of its own after the grace, and at the job's
  // end. May be empty.
  std::function<std::string(const std::string& run_folder)> on_stuck;
  // True once the program was asked to end (SIGINT, SIGTERM): the rank then leaves with kInterrupted.
  // Called by the watch at every beat. May be empty.
  std::function<bool()> stop_requested;
};

ExitCode run_job(const JobConfig& config, const Seams& seams);

}  // namespace batch71::ddp
