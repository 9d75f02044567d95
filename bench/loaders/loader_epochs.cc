// Makes a loader and runs its epochs.
#include "bench/loaders/loader_epochs.h"

#include <utility>

#include "loader/registry.h"

namespace batch71::bench {

loader::Config loader_config(const Clips& clips, int num_workers) {
  loader::Config config;
  config.train_ds.manifest_filepath = clips.manifest();
  config.train_ds.num_workers = num_workers;
  config.train_ds.sample_rate = kSampleRateHz;
  return config;
}

LoaderEpochs::LoaderEpochs(const Clips& clips, int num_workers, Tracing tracing)
    : traces_(kTraceParent) {
  loader::LoaderSpec spec;
  spec.config = loader_config(clips, num_workers);
  if (tracing == Tracing::kOn) spec.run_folder = traces_.path();
  spec.dataset = loader::manifest_dataset_factory(spec.config, 0);
  spec.featurizer = loader::featurizer_factory(spec.config.train_ds);
  trace_ =
      std::make_unique<trace::Writer>(spec.run_folder, trace::WriterSpec{trace::Role::kMain, 0, 1});
  loader_ = std::make_unique<loader::Loader>(std::move(spec), *trace_);
}

int64_t LoaderEpochs::run(const std::function<void(const loader::Batch&)>& take) {
  int64_t valid = 0;
  loader_->start_epoch(loader_->plan(epochs_done_++));
  while (const std::optional<loader::Batch> batch = loader_->next()) {
    valid += batch->num_valid();
    take(*batch);
  }
  return valid;
}

}  // namespace batch71::bench
