// The table of the loader's settings, and what is made of it.
#include "loader/config.h"

#include "loader/hash.h"
#include "loader/yaml_section.h"
#include "trace/errors.h"

namespace batch71::loader {
namespace {

Section bind(TrainDs& to) {
  Section keys("train_ds");
  keys.text("manifest_filepath", to.manifest_filepath,
            "NeMo manifest (JSON lines); `{rank}` in it stands for the rank: one manifest each, "
            "and no two alike.");
  keys.integer("batch_size", to.batch_size, 1, 65536, "Samples in a batch of one rank.");
  keys.integer("num_workers", to.num_workers, 0, 256,
               "Worker processes of a rank; 0: the training thread decodes by itself.");
  keys.flag("persistent_workers", to.persistent_workers,
            "Workers live on from epoch to epoch; false: fresh ones for each.");
  keys.flag("shuffle", to.shuffle, "A new order in every epoch, as torch's DistributedSampler.");
  keys.integer("seed", to.seed, 0, INT64_MAX, "Seed of all randomness.");
  keys.flag("drop_last", to.drop_last,
            "Leave out samples that do not divide evenly by ranks and batches.");
  keys.integer("sample_rate", to.sample_rate, 1000, 384000,
               "Hz; audio of another rate is resampled to it.");
  keys.number("max_duration", to.max_duration, 0.001, 86400,
              "Seconds; longer entries of the manifest are left out.");
  keys.number("min_duration", to.min_duration, 0, 86400,
              "Seconds; shorter entries of the manifest are left out.");
  keys.flag(
      "use_bucketing", to.use_bucketing,
      "Batches of samples that are about as long: less padding, and all ranks' steps take alike.");
  keys.integer("num_buckets", to.num_buckets, 2, 10000,
               "Buckets of durations, about as many samples in each; of `use_bucketing`.");
  keys.integer("prefetch_factor", to.prefetch_factor, 1, 64, "Batches in flight per worker.");
  keys.text("features", to.features, "`log_mel`, `waveform`, or one that the program registered.");
  keys.optional_text("noise_manifest_filepath", to.noise_manifest_filepath,
                     "NeMo manifest of noise that is mixed into samples (`docs/loader.md`).");
  keys.number("noise_prob", to.noise_prob, 0, 1, "Share of the samples that get noise.");
  keys.number("noise_min_snr_db", to.noise_min_snr_db, -100, 200,
              "Least ratio of sample to noise, in dB; it is drawn evenly between both.");
  keys.number("noise_max_snr_db", to.noise_max_snr_db, -100, 200,
              "Greatest ratio of sample to noise, in dB.");
  keys.integer("n_mels", to.n_mels, 1, 1024, "Mel bands of `log_mel`.");
  keys.integer("n_fft", to.n_fft, 2, 65536, "Length of the Fourier transform in samples; even.");
  keys.integer("win_length", to.win_length, 1, 65536, "Length of the Hann window in samples.");
  keys.integer("hop_length", to.hop_length, 1, 65536, "Samples from one frame to the next.");
  return keys;
}

Section bind(Guards& to) {
  Section keys("guards");
  keys.deadline_ms(
      "item_deadline_ms", to.item_deadline_ms, kGuardOffMs,
      "One sample, from the head of its worker's mailbox; past it the worker is killed "
      "and replaced, the sample becomes a dummy.");
  keys.deadline_ms("step_deadline_ms", to.step_deadline_ms, kGuardOffMs,
                   "Forward, loss, backward, optimizer: each.");
  keys.deadline_ms("collective_deadline_ms", to.collective_deadline_ms, kGuardOffMs,
                   "An agreement or an all-reduce.");
  keys.deadline_ms("startup_deadline_ms", to.startup_deadline_ms, kGuardOffMs,
                   "Making the workers, the rendezvous and the first agreement: each.");
  keys.deadline_ms("verdict_grace_ms", to.verdict_grace_ms, kGuardOffMs,
                   "From the first symptom to the verdict.");
  keys.deadline_ms("shutdown_deadline_ms", to.shutdown_deadline_ms, kGuardOffMs,
                   "Everything that ends a rank, in total.");
  keys.deadline_ms("observe_after_ms", to.observe_after_ms, kGuardOffMs,
                   "An item or a step older than this is looked at and written down, once.");
  keys.integer("error_budget", to.error_budget, 0, INT64_MAX,
               "Dummy items over all ranks; one more ends the job.");
  keys.integer("max_respawns", to.max_respawns, 0, 10000, "Replacements of workers per rank.");
  keys.choice("on_bad_item", to.on_bad_item, {"dummy", "rethrow"},
              "What a bad item becomes; rethrow: the job stops at the first one.");
  keys.choice("finite_check", to.finite_check, {"reject", "accept"},
              "NaN and infinity in samples or features, samples above 65536; accept: passed on.");
  keys.choice(
      "uneven", to.uneven, {"fail", "pad", "drop", "join"},
      "Ranks with unlike numbers of batches. pad: the short ones repeat their own; drop: all stop "
      "with the shortest; join: who has run dry goes on with shadow batches that count for "
      "nothing, also where it had promised more.");
  return keys;
}

void check_together(const std::string& path, const TrainDs& ds) {
  const auto refuse = [&path](const std::string& what) {
    throw UsageError(path + ": train_ds: " + what);
  };
  if (ds.manifest_filepath.empty()) refuse("manifest_filepath is missing; name a NeMo manifest");
  if (ds.min_duration > ds.max_duration) {
    refuse("min_duration is above max_duration: no sample could be left; lower it");
  }
  if (ds.noise_min_snr_db > ds.noise_max_snr_db) {
    refuse("noise_min_snr_db is above noise_max_snr_db; lower it");
  }
  if (ds.n_fft % 2 != 0) refuse("n_fft is odd; choose an even one");
  if (ds.win_length > ds.n_fft) refuse("win_length is above n_fft; lower it");
}

}  // namespace

Config load_config(const std::string& path) {
  Config config;
  config.path = path;
  read_section(path, bind(config.train_ds));
  read_section(path, bind(config.guards));
  check_together(path, config.train_ds);
  return config;
}

void switch_off(Guards& guards) {
  guards.item_deadline_ms = kGuardOffMs;
  guards.step_deadline_ms = kGuardOffMs;
  guards.collective_deadline_ms = kGuardOffMs;
  guards.startup_deadline_ms = kGuardOffMs;
}

uint64_t digest(const Config& config) {
  Config copy = config;
  // Where the manifest lies may differ; what is in it has a digest of its own.
  const bool is_sharded = config.train_ds.manifest_filepath.find("{rank}") != std::string::npos;
  copy.train_ds.manifest_filepath = is_sharded ? "{rank}" : "";
  Digest digest;
  for (const std::string& value : bind(copy.train_ds).values()) digest.add(value);
  for (const std::string& value : bind(copy.guards).values()) digest.add(value);
  return digest.value();
}

std::string describe_config() {
  Config config;
  return "# Settings\n\n"
         "Generated from the tables in `loader/config.cc`; a unit test compares. Sections of one "
         "YAML "
         "file, besides `trainer:` (docs/trainer.md).\nDeadlines are whole milliseconds or `off` "
         "(PyTorch's 30 "
         "minutes). "
         "Unknown keys are refused. Relative paths start at the working folder.\n\n" +
         bind(config.train_ds).describe() + "\n" + bind(config.guards).describe();
}

}  // namespace batch71::loader
