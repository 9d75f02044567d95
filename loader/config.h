// The loader's settings: the `train_ds:` and `guards:` sections of a NeMo-style YAML file.
//
// Unknown keys, wrong types and values that cannot be are refused with file, line and the nearest
// known key (UsageError). Every key, its default and one sentence: `describe_config()`, from which
// docs/config.md is generated.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace batch71::loader {

enum class OnBadItem { kDummy, kRethrow };        // rethrow: the job stops at the first bad item
enum class FiniteCheck { kReject, kAccept };      // accept: NaN is passed on
enum class Uneven { kFail, kPad, kDrop, kJoin };  // ranks with unlike batch counts

struct TrainDs {
  std::string manifest_filepath;  // "{rank}" in it: one manifest a rank (pre-sharded data)
  int batch_size = 8;
  int num_workers = 2;
  bool persistent_workers = true;
  bool shuffle = true;
  int64_t seed = 0;
  bool drop_last = false;      // of the sampler and of the last batch
  int sample_rate = 16000;     // Hz; other rates are resampled to it
  double max_duration = 20.0;  // seconds; longer entries of the manifest are left out
  double min_duration = 0.0;
  bool use_bucketing = false;  // batches of similar durations
  int num_buckets = 30;
  int prefetch_factor = 2;              // batches in flight per worker
  std::string features = "log_mel";     // "log_mel", "waveform", or one that the program registered
  std::string noise_manifest_filepath;  // empty: no noise is mixed in
  double noise_prob = 0.5;              // of a sample to get some
  double noise_min_snr_db = 10;
  double noise_max_snr_db = 50;
  int n_mels = 80;
  int n_fft = 512;
  int win_length = 400;
  int hop_length = 160;
};

// Milliseconds. `off` (in YAML or as `--guards off`): PyTorch's 30 minutes.
inline constexpr int kGuardOffMs = 30 * 60 * 1000;

struct Guards {
  int item_deadline_ms = 30'000;        // one sample, from the head of its worker's mailbox
  int step_deadline_ms = 120'000;       // forward, loss, backward, optimizer: each
  int collective_deadline_ms = 60'000;  // agreement or all-reduce
  int startup_deadline_ms = 120'000;    // rendezvous and the first agreement
  int verdict_grace_ms = 1'000;         // from the first symptom to the verdict
  int shutdown_deadline_ms = 5'000;     // everything that ends a rank, in total
  int observe_after_ms = 5'000;         // what is older is looked at and written down, once
  int64_t error_budget = 100;           // dummy items over all ranks; one more ends the job
  int max_respawns = 20;                // replacements of workers per rank
  OnBadItem on_bad_item = OnBadItem::kDummy;
  FiniteCheck finite_check = FiniteCheck::kReject;
  Uneven uneven = Uneven::kFail;
};

struct Config {
  std::string path;
  TrainDs train_ds;
  Guards guards;
};

// Other rooms read sections of their own through loader/yaml_section.h.
Config load_config(const std::string& path);
// Every deadline off, as the original had it: `--guards off`.
void switch_off(Guards& guards);
// Digest of all settings that must be the same on every rank.
uint64_t digest(const Config& config);
// Markdown: every key with default and meaning.
std::string describe_config();

}  // namespace batch71::loader
