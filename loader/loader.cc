// Puts the parts together: plans, a source of batches, and what the training thread's trace tells.
#include "loader/loader.h"

#include <array>
#include <cstdio>
#include <utility>

#include "loader/batch_tensors.h"
#include "loader/hash.h"
#include "loader/inline_source.h"
#include "loader/loader_parts.h"
#include "loader/pooled_source.h"
#include "loader/rank_output.h"

namespace batch71::loader {
namespace {

std::string noise_text(const TrainDs& ds) {
  if (ds.noise_manifest_filepath.empty()) return "";
  std::array<char, 32> prob{};
  std::snprintf(prob.data(), prob.size(), "%g", ds.noise_prob);
  return std::string(", noise_prob=") + prob.data() +
         ", noise_manifest_filepath=" + ds.noise_manifest_filepath;
}

std::string settings_text(const LoaderSpec& spec) {
  const auto flag = [](bool value) { return value ? "True" : "False"; };  // as PyTorch prints them
  const TrainDs& ds = spec.config.train_ds;
  return "world_size=" + std::to_string(spec.world_size) + ", shuffle=" + flag(ds.shuffle) +
         ", num_workers=" + std::to_string(ds.num_workers) +
         ", batch_size=" + std::to_string(ds.batch_size) +
         ", persistent_workers=" + flag(ds.persistent_workers) +
         ", drop_last=" + flag(ds.drop_last) +
         ", prefetch_factor=" + std::to_string(ds.prefetch_factor) +
         ", seed=" + std::to_string(ds.seed) + ", features=" + ds.features + noise_text(ds);
}

}  // namespace

class Loader::Impl {
 public:
  Impl(LoaderSpec spec, trace::Writer& trace)
      : trace_(trace),
        parts_(std::make_shared<LoaderParts>(std::move(spec))),
        sampler_(sampler_spec(parts_->spec.config.train_ds, *parts_->dataset, parts_->spec.rank,
                              parts_->spec.world_size)) {
    trace_.incident(trace::Event::kSettings, trace::Stage::kSetup, settings_text(parts_->spec));
    const TrainDs& ds = parts_->spec.config.train_ds;
    const EpochPlan first = make_plan(sampler_, 0);
    refuse_if_empty(first, sampler_);
    const size_t batches = first.batches.size();
    std::string kind = sampler_.sharded ? "ShardSampler" : "DistributedSampler";
    if (!sampler_.buckets.empty()) kind += ", num_buckets=" + std::to_string(ds.num_buckets);
    if (ds.num_workers == 0) {
      source_ = std::make_unique<InlineSource>(parts_, trace_);
    } else {
      source_ = std::make_unique<PooledSource>(parts_);
    }
    trace_.incident(trace::Event::kLoaderCreated, trace::Stage::kSetup,
                    "sampler=" + kind + ", num_batches=" + std::to_string(batches));
  }

  Dataset& dataset() { return *parts_->dataset; }
  uint64_t data_digest() const {
    Digest digest;
    digest.add(parts_->dataset->digest());
    if (parts_->noise != nullptr) digest.add(parts_->noise->manifest().digest());
    return digest.value();
  }
  EpochPlan plan(int32_t epoch) const { return make_plan(sampler_, epoch); }
  int64_t dummies_total() const { return parts_->dummies.total(); }

  void start_epoch(EpochPlan plan) {
    const bool is_again = plan.epoch == epoch_ || plan.digest == digest_;
    const bool would_differ = sampler_.shuffle || parts_->noise != nullptr;
    if (next_batch_ > 0 && is_again && would_differ) warn_of_repetition(plan.epoch);
    epoch_ = plan.epoch;
    digest_ = plan.digest;
    batches_left_ = plan.batches.size() - plan.first_batch;
    next_batch_ = static_cast<int32_t>(plan.first_batch);
    source_->start_epoch(std::move(plan));
  }

  std::optional<Batch> next() {
    if (batches_left_ == 0) return std::nullopt;
    const trace::Place place{epoch_, next_batch_, -1};
    trace_.begin(place);
    trace_.record(trace::Event::kFetching, trace::Stage::kFetch);
    BatchWork work = source_->take();
    trace_.begin(place);
    trace_.record(trace::Event::kFetched, trace::Stage::kStep,
                  static_cast<int64_t>(work.items.size()),
                  static_cast<int64_t>(work.dummies.size()));
    --batches_left_;
    ++next_batch_;
    return make_batch(std::move(work), parts_->shape.channels(), *parts_->dataset, parts_->slots);
  }

 private:
  void warn_of_repetition(int32_t epoch) {
    if (std::exchange(has_warned_, true)) return;
    const std::string text =
        "epoch " + std::to_string(epoch) +
        " is started again: its samples come in the same order, with the same noise, once more; "
        "count the epochs (set_epoch), Loader::plan(epoch)";
    trace_.incident(trace::Event::kWarning, trace::Stage::kSetup, text);
    print_lines(parts_->spec.rank, "warning", text);
  }

  trace::Writer& trace_;
  std::shared_ptr<LoaderParts> parts_;
  SamplerSpec sampler_;
  std::unique_ptr<BatchSource> source_;
  int32_t epoch_ = 0;
  uint64_t digest_ = 0;  // of its plan
  int32_t next_batch_ = 0;
  bool has_warned_ = false;
  size_t batches_left_ = 0;
};

Loader::Loader(LoaderSpec spec, trace::Writer& trace)
    : impl_(std::make_unique<Impl>(std::move(spec), trace)) {}
Loader::~Loader() = default;

Dataset& Loader::dataset() { return impl_->dataset(); }
uint64_t Loader::data_digest() const { return impl_->data_digest(); }
EpochPlan Loader::plan(int32_t epoch) const { return impl_->plan(epoch); }
void Loader::start_epoch(EpochPlan plan) { impl_->start_epoch(std::move(plan)); }
std::optional<Batch> Loader::next() { return impl_->next(); }
int64_t Loader::dummies_total() const { return impl_->dummies_total(); }

}  // namespace batch71::loader
