// This rank's batches of an epoch.
#include "ddp/batch_stream.h"

#include <fmt/format.h>

namespace batch71::ddp {
namespace {

using trace::Event;
using trace::Stage;

// The shape of a shadow on a rank that never had a batch: a second of sound in each row.
ShadowBatch first_shadow(const loader::TrainDs& ds, const Seams& seams) {
  const auto featurizer = seams.featurizer();
  return {ds.batch_size, featurizer->channels(), featurizer->frames(ds.sample_rate)};
}

}  // namespace

BatchStream::BatchStream(loader::Loader& loader, const JobConfig& config, const Seams& seams,
                         Progress& progress)
    : loader_(loader),
      next_batch_(seams.next_batch),
      progress_(progress),
      shadow_(first_shadow(config.loader.train_ds, seams)) {}

void BatchStream::start_epoch(loader::EpochPlan plan) {
  epoch_ = plan.epoch;
  is_dry_ = false;
  loader_.start_epoch(std::move(plan));
}

std::optional<loader::Batch> BatchStream::next(int32_t number) {
  progress_.watch().enter(Stage::kFetch, progress_.trace().place());
  try {
    return next_batch_ ? next_batch_(loader_, epoch_, number) : loader_.next();
  } catch (const loader::LoaderFatal& fatal) {
    progress_.watch().leave(fatal.fatal().code, fatal.fatal().why);
  }
}

std::optional<loader::Batch> BatchStream::fetch(int32_t number) {
  if (is_dry_) return std::nullopt;
  std::optional<loader::Batch> batch = next(number);
  if (batch) {
    shadow_.resemble(*batch);
    return batch;
  }
  is_dry_ = true;
  progress_.enter(Event::kFetched, Stage::kStep);
  return std::nullopt;
}

}  // namespace batch71::ddp
