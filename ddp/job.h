// One rank's training job: rendezvous, agreement, step loop, watch, one way out.
//
// `run_job` is what a subject's main calls. It returns the exit code when the job ends as planned; on
// anything fatal it leaves the process through the step watch (incident, verdict, _exit), also while
// main is inside backward(). Throws UsageError before anything is trained.
// Environment: RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT (env://), TORCHELASTIC_USE_AGENT_STORE,
// TORCHELASTIC_RESTART_COUNT; BATCH71_RUN_DIR (traces; unset: tracing off), BATCH71_LEDGER.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "ddp/model_factory.h"
#include "loader/batch.h"
#include "loader/config.h"
#include "loader/dataset.h"
#include "loader/featurizer.h"
#include "trace/exit_code.h"

namespace batch71::loader {
class Loader;
}

namespace batch71::ddp {

// The `trainer:` section of the YAML file.
struct Trainer {
  int64_t max_steps = -1;  // of the optimizer, over all epochs; -1: no limit
  int max_epochs = 1;
  int accumulate_grad_batches = 1;  // of each rank in a step; fewer at an epoch's end
  double lr = 0.05;
  std::string checkpoint_dir;  // "" : none
  int64_t checkpoint_every_steps = 100;
  int64_t model_seed = 0;
};

struct JobConfig {
  loader::Config loader;
  Trainer trainer;
};
JobConfig load_job_config(const std::string& path);
// Of all settings of the section: must be the same on every rank.
uint64_t digest(const Trainer& trainer);
// Markdown: every key with default and meaning.
std::string describe_trainer();

// A stream of batches of the program's own: the batch of that number, or nullopt when this rank has none
// any more in this epoch, also where its plan promised more. `loader` has begun the epoch.
using NextBatch = std::function<std::optional<loader::Batch>(loader::Loader& loader, int32_t epoch,
                                                             int32_t batch)>;

struct Seams {
  loader::DatasetFactory dataset;
  loader::FeaturizerFactory featurizer;
  ModelFactory model;
  NextBatch next_batch;  // empty: loader.next()
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
