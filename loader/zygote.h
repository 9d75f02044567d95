// The zygote: a process with one thread that forks a rank's workers, and reaps them.
//
// Forked by the rank before it has threads; everything that it and its workers share with the rank was
// mapped before. It talks over one SOCK_SEQPACKET socket and ends when the other end is closed.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>

#include "loader/bell.h"
#include "loader/config.h"
#include "loader/dataset.h"
#include "loader/featurizer.h"
#include "loader/mailboxes.h"
#include "loader/noise.h"
#include "loader/slots.h"

namespace batch71::loader {

// What the rank gives to its children by forking them.
struct ChildSetup {
  const Config& config;
  int rank = 0;
  int world_size = 1;
  const std::string& run_folder;
  const DatasetFactory& dataset;
  const FeaturizerFactory& featurizer;
  const std::shared_ptr<const NoisePlan>& noise;
  const Slots& slots;
  const Mailboxes& mailboxes;
  const Bell& bell;  // wakes the rank's watch
};

// Rank to zygote: fork a worker.
struct SpawnRequest {
  int32_t worker = 0;
  int32_t generation = 0;
  int32_t mailbox = 0;
};

// Zygote to rank.
struct ZygoteReport {
  enum class Kind : int32_t { kReady, kFailed, kSpawned, kExited };
  Kind kind{};
  SpawnRequest whose;            // kSpawned, kExited
  int32_t pid = 0;               // kSpawned (with the pidfd as SCM_RIGHTS), kExited
  int32_t wait_status = 0;       // kExited, as waitpid encodes it
  std::array<char, 1024> why{};  // kFailed
};

[[noreturn]] void run_zygote(const ChildSetup& setup, int socket, int rank_pid);

}  // namespace batch71::loader
