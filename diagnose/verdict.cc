// The table of kinds: one entry each, in the order of the enumeration.
#include "diagnose/verdict.h"

#include <algorithm>
#include <array>
#include <stdexcept>

namespace batch71::diagnose {
namespace {

constexpr std::string_view kDropSample = "remove the sample from the manifest";
constexpr std::string_view kDropNoise =
    "remove the file from the noise manifest; train_ds: noise_prob: 0 trains without noise";
constexpr std::string_view kFreshWorkers =
    "train_ds: persistent_workers: false starts new ones each epoch; mend what the featurizer or "
    "the dataset keeps from sample to sample";
constexpr std::string_view kNoWorkers =
    "train_ds: num_workers: 0 shows whether it is the worker or the sample";

constexpr std::string_view kWhoStopsWorkers =
    "find who stops the worker; kill -CONT resumes it; train_ds: persistent_workers: false starts "
    "new ones each epoch";
constexpr std::string_view kWhoKills =
    "look for the out-of-memory killer (dmesg) and for who sends signals";
constexpr std::string_view kRoom =
    "make room there (docker run --shm-size), or set BATCH71_TRACE_DIR to a folder that has it; "
    "the "
    "training itself needs none";
constexpr std::string_view kOneManifest =
    "name one manifest for all ranks (train_ds: manifest_filepath without {rank}): it is dealt "
    "out; or give each rank a shard of its own; if it is meant so (a tiny overfit test), run one "
    "rank";
constexpr std::string_view kFreeBatches =
    "free batches before asking for more, or copy what is to be kept";
constexpr std::string_view kWorkersOutput =
    "look at the workers' output (rank<r>.workers.log in the run folder) and for the out-of-memory "
    "killer (dmesg); train_ds: num_workers: 0 runs the same code in the rank";

}  // namespace

const std::vector<KindText>& all_kinds() {
  static const std::vector<KindText> kKinds{
      {Kind::kNothingWrong, "nothing_wrong", "nothing wrong", ""},
      {Kind::kAudioMissing, "audio_missing", "the audio file is not there",
       "correct the path, or remove the sample from the manifest"},
      {Kind::kAudioUnreadable, "audio_unreadable", "the file is no audio that can be decoded",
       kDropSample},
      {Kind::kAudioTruncated, "audio_truncated", "the audio is shorter than declared", kDropSample},
      {Kind::kAudioWrongFormat, "audio_wrong_format",
       "the audio's rate, channels, length or level are not what is configured or declared",
       "correct the manifest's duration or the file, or remove the sample from the manifest"},
      {Kind::kAudioNotFinite, "audio_not_finite", "the samples are NaN or infinite", kDropSample},
      {Kind::kItemThrew, "item_threw", "user code threw",
       "mend the featurizer or the dataset, or remove the sample from the manifest"},
      {Kind::kReadBlocked, "read_blocked", "the read is blocked",
       "check the file and what serves it, or remove the sample from the manifest"},
      {Kind::kReadUnkillable, "read_unkillable", "the read is blocked and deaf to SIGKILL",
       "mend the file system (only that ends such a read), or remove the sample from the manifest"},
      {Kind::kFeaturizerStuck, "featurizer_stuck", "the featurizer does not come back",
       "mend the featurizer, or remove the sample from the manifest"},
      {Kind::kWorkerDeadlocked, "worker_deadlocked", "the worker's threads wait for each other",
       "take the featurizer's locks in one order; until then train_ds: num_workers: 0"},
      {Kind::kWorkerStopped, "worker_stopped", "the worker is stopped (SIGSTOP or a debugger)",
       kWhoStopsWorkers},
      {Kind::kWorkerKilled, "worker_killed", "the worker was killed by a signal",
       "look for the out-of-memory killer (dmesg); fewer workers or train_ds: num_workers: 0"},
      {Kind::kWorkerExited, "worker_exited", "the worker ended by itself",
       "look at the worker's output; train_ds: num_workers: 0 runs the same code in the rank"},
      {Kind::kItemStuck, "item_stuck",
       "the item stands still or was lost; the traces do not say why", kNoWorkers},
      {Kind::kStateLeftBehind, "state_left_behind",
       "user code fails in workers that lived through an earlier epoch: state is left in them",
       kFreshWorkers},
      {Kind::kForwardStuck, "forward_stuck", "forward does not come back", "look at the model"},
      {Kind::kLossStuck, "loss_stuck", "the loss does not come back", "look at the loss"},
      {Kind::kBackwardStuck, "backward_stuck", "backward does not come back",
       "look at the model's backward and its hooks"},
      {Kind::kRankKilled, "rank_killed", "the rank was killed", kWhoKills},
      {Kind::kRankStopped, "rank_stopped", "the rank is stopped (SIGSTOP or a debugger)",
       "find who stops the rank; kill -CONT resumes it"},
      {Kind::kRankExited, "rank_exited", "the rank left before the job was done",
       "look at its error in `batch71 log`"},
      {Kind::kRankMissing, "rank_missing", "the rank never came",
       "look at its launcher and its host"},
      {Kind::kRankStuck, "rank_stuck", "the rank stands still; the traces do not say why",
       "compare the ranks with `batch71 log`; look at the rank's stack (eu-stack -p PID)"},
      {Kind::kCollectiveStuck, "collective_stuck",
       "ranks wait in a collective; the traces blame nobody",
       "check the network between the hosts; trace every rank"},
      {Kind::kShardsUneven, "shards_uneven", "the rank has another number of batches",
       "even out the shards, or guards: uneven: join (or pad, drop)"},
      {Kind::kShardsIdentical, "shards_identical",
       "ranks have the same samples: each is trained on several times in an epoch", kOneManifest},
      {Kind::kRanksDisagree, "ranks_disagree", "the ranks are about to do different things",
       "give every rank the same config, manifest and model"},
      {Kind::kErrorBudgetSpent, "error_budget_spent",
       "more went wrong than the guards allow (error_budget, max_respawns, on_bad_item)",
       "remove the named samples from the manifest, or raise guards: error_budget"},
      {Kind::kZygoteLost, "zygote_lost", "the process that forks workers is gone or stopped",
       kWhoKills},
      {Kind::kCrashLoop, "crash_loop", "every replacement of the worker dies", kWorkersOutput},
      {Kind::kWorkersStarved, "workers_starved",
       "every slot of the batch memory is kept by the program", kFreeBatches},
      {Kind::kNonFiniteLoss, "non_finite_loss", "the loss became NaN or infinite",
       "lower the learning rate; guards: finite_check: reject keeps such samples out"},
      {Kind::kTracingReduced, "tracing_reduced", "traces are shorter: their folder is full", kRoom},
  };
  return kKinds;
}

const KindText& text(Kind kind) {
  for (const KindText& entry : all_kinds()) {
    if (entry.kind == kind) return entry;
  }
  throw std::logic_error("a kind of verdict without an entry in the table");
}

std::string_view remedy(const Verdict& verdict) {
  constexpr std::array kOfFiles{
      Kind::kAudioMissing,   Kind::kAudioUnreadable, Kind::kAudioTruncated, Kind::kAudioWrongFormat,
      Kind::kAudioNotFinite, Kind::kReadBlocked,     Kind::kReadUnkillable};
  const bool is_of_file =
      std::find(kOfFiles.begin(), kOfFiles.end(), verdict.kind) != kOfFiles.end();
  if (is_of_file && verdict.stage == trace::Stage::kNoiseMix) return kDropNoise;
  return text(verdict.kind).remedy;
}

std::string kinds_as_markdown() {
  std::string out = "| kind | what it says | remedy |\n|---|---|---|\n";
  for (const KindText& entry : all_kinds()) {
    out += "| `" + std::string(entry.name) + "` | " + std::string(entry.says) + " | " +
           std::string(entry.remedy) + " |\n";
  }
  return out;
}

}  // namespace batch71::diagnose
