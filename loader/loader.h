// The loader: plan in, batches out, and no way to hang.
//
// Make one per rank, on the training thread, before the process has any other thread: it forks the
// worker zygote first. `next` waits at most until the loader's own guards have answered: a bad sample
// becomes a dummy item, a stuck worker is killed and replaced, and what cannot be recovered is
// reported once through `on_fatal` (called on the watch thread or in `next`), which does not return
// to the loader's waits: `next` then throws LoaderFatal.
// Destruction takes at most guards.shutdown_deadline_ms; workers deaf to SIGKILL are left and named.
// Signals: installs no handler. Children: reaps only its own, by pidfd. States of item, slot, mailbox
// and worker: docs/worker-pool.md. Epochs, buckets and noise: docs/loader.md.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

#include "loader/batch.h"
#include "loader/config.h"
#include "loader/dataset.h"
#include "loader/featurizer.h"
#include "loader/plan.h"
#include "trace/exit_code.h"
#include "trace/writer.h"

namespace batch71::loader {

struct Fatal {
  ExitCode code{};
  std::string why;
};

class LoaderFatal : public std::runtime_error {
 public:
  explicit LoaderFatal(const Fatal& fatal) : std::runtime_error(fatal.why), fatal_(fatal) {}
  const Fatal& fatal() const { return fatal_; }

 private:
  Fatal fatal_;
};

struct LoaderSpec {
  Config config;
  int rank = 0;
  int world_size = 1;
  std::string run_folder;  // traces go here; empty: tracing off
  DatasetFactory dataset;
  FeaturizerFactory featurizer;
  std::function<void(const Fatal&)> on_fatal;  // may end the process
};

class Loader {
 public:
  // `trace` is the training thread's writer and outlives the loader.
  Loader(LoaderSpec spec, trace::Writer& trace);
  ~Loader();
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  Dataset& dataset();
  // Of all data that must be the same on every rank: the dataset, and the noise.
  uint64_t data_digest() const;
  // The plan of an epoch; start_epoch takes it, after the ranks agreed on it (or changed it). Its number
  // is what one gives to set_epoch of torch's DistributedSampler: the same number, the same order.
  EpochPlan plan(int32_t epoch) const;
  // Workers begin to fetch. An epoch that was not finished is abandoned. A program that shuffles (or
  // mixes noise in) and starts one twice has forgotten to count: it is warned of once, on stderr and in
  // the trace.
  void start_epoch(EpochPlan plan);
  // The next batch in plan order; nullopt at the epoch's end.
  std::optional<Batch> next();

  int64_t dummies_total() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace batch71::loader
