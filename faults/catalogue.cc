// The catalogue of faults: a new one is a file and a line here. It only grows.
#include <algorithm>
#include <stdexcept>

#include "faults/fault.h"
#include "loader/yaml_section.h"
#include "trace/errors.h"

namespace batch71::faults {

Fault wav_truncated_header();
Fault wav_truncated_data();
Fault wav_nan();
Fault file_missing();
Fault file_fifo();
Fault fuse_read_hang();
Fault worker_unkillable();
Fault featurizer_hang();
Fault worker_deadlock();
Fault featurizer_throw();
Fault worker_sigstop();
Fault worker_sigkill();
Fault shard_short();
Fault forward_hang();
Fault rank_sigkill();
Fault rank_sigstop();
Fault worker_state_poisoned();
Fault wav_empty();
Fault seed_differs();
Fault batch_size_differs();
Fault manifest_differs();
Fault loss_hang();
Fault loss_nan();
Fault zygote_sigkill();
Fault noise_fifo();
Fault noise_truncated_header();
Fault worker_crash_loop();
Fault shm_full();
Fault lock_at_fork();
Fault shm_mutex_owner_killed();
Fault rank_never_starts();
Fault sampler_missing();
Fault store_host_stopped();

namespace {

using Definition = Fault (*)();
constexpr Definition kDefinitions[] = {
    wav_truncated_header,
    wav_truncated_data,
    wav_nan,
    file_missing,
    file_fifo,
    fuse_read_hang,
    worker_unkillable,
    featurizer_hang,
    worker_deadlock,
    featurizer_throw,
    worker_sigstop,
    worker_sigkill,
    shard_short,
    forward_hang,
    rank_sigkill,
    rank_sigstop,
    worker_state_poisoned,
    wav_empty,
    seed_differs,
    batch_size_differs,
    manifest_differs,
    loss_hang,
    loss_nan,
    zygote_sigkill,
    noise_fifo,
    noise_truncated_header,
    worker_crash_loop,
    shm_full,
    lock_at_fork,
    shm_mutex_owner_killed,
    rank_never_starts,
    sampler_missing,
    store_host_stopped,
};

std::vector<Fault> all_of_them() {
  std::vector<Fault> faults;
  for (const Definition define : kDefinitions) {
    Fault fault = define();
    const bool is_known = std::any_of(faults.begin(), faults.end(),
                                      [&](const Fault& other) { return other.name == fault.name; });
    if (is_known) throw std::logic_error("two faults are called " + fault.name);
    faults.push_back(std::move(fault));
  }
  return faults;
}

}  // namespace

const std::vector<Fault>& catalogue() {
  static const std::vector<Fault> kAll = all_of_them();
  return kAll;
}

const Fault& find_fault(const std::string& name) {
  std::vector<std::string> known;
  for (const Fault& fault : catalogue()) {
    if (fault.name == name) return fault;
    known.push_back(fault.name);
  }
  throw UsageError("unknown fault '" + name + "'; the nearest known one is '" +
                   loader::nearest(name, known) + "' (batch71 faults list)");
}

std::string_view name(Family family) {
  switch (family) {
    case Family::kData: return "data";
    case Family::kIo: return "io";
    case Family::kWorker: return "worker";
    case Family::kStep: return "step";
    case Family::kRank: return "rank";
    case Family::kShards: return "shards";
    case Family::kResources: return "resources";
  }
  return "unknown";
}

std::string_view name(ControlEffect effect) {
  switch (effect) {
    case ControlEffect::kHangs: return "hangs";
    case ControlEffect::kDies: return "dies";
    case ControlEffect::kSilentlySpoils: return "silently spoils";
  }
  return "unknown";
}

std::string_view name(Loss loss) {
  switch (loss) {
    case Loss::kNothing: return "nothing";
    case Loss::kStruckItem: return "the struck sample";
    case Loss::kStruckBatch: return "the struck batch's samples";
    case Loss::kJobEnds: return "the job ends";
  }
  return "unknown";
}

}  // namespace batch71::faults
