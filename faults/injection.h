// What an injector is given and what it gives back; the few ways in which all of them strike.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "launch/cell_spec.h"

namespace batch71::faults {

// Batches count from 0 in each epoch, indices are those of the manifest (of the rank's own shard where
// each has one). -1: not given, or does not apply.
struct Where {
  int rank = 0;
  int worker = -1;
  int32_t epoch = 0;
  int64_t batch = -1;
  int64_t index = -1;
};

// What may be spoiled, and what only the job sees. Paths are absolute.
struct Site {
  std::string case_folder;    // for files of the injector's own
  std::string struck_copy;    // of the file of where.index: may be spoiled, and replaced
  std::string seen_file;      // where the job sees that copy, in the user's own corpus
  std::string corpus_folder;  // that a file system of ours can be mounted over: holds seen_file
  std::string manifest_path;  // the user's own
  std::string own_config;     // to be the struck rank's, where it gets settings of its own
  std::string run_folder;     // where the job writes its traces
  std::string strike_log;     // see faults/corpusfs/strike_log.h
  Where where;
  std::vector<int64_t> struck_batch;   // indices
  std::vector<int64_t> from_batch_on;  // indices of the struck rank, to the end of the epoch
  int64_t earlier_uses = 0;            // of the file, by all ranks in the epochs before
  int world_size = 1;
  int batch_size = 1;
};

struct Injection {
  std::vector<launch::HelperSpec> helpers;
  launch::Environment env;           // of every rank
  std::vector<std::string> wrapper;  // before every rank's program and its arguments
  std::string manifest_filepath;     // instead of the config's; empty: as it is
  // Of train_ds, for the struck rank alone: it gets site.own_config.
  std::map<std::string, std::string> own_settings;
};

// Spoiled already: what is left is to notice when the file is first opened.
Injection watch_open(const Site& site, const std::string& path);
// Serves corpus_folder by FUSE and does `action` at the epoch's first `op` on seen_file
// (corpusfs/rules.h).
Injection serve_corpus(const Site& site, std::string_view op, std::string_view action);

// /dev/shm is full, and the run folder's file system nearly so.
Injection leave_little_room(const Site& site);

// The struck rank has other settings than the rest; it strikes when that rank reads them.
Injection give_own_settings(const Site& site, std::map<std::string, std::string> settings);

// Every rank is started by this shell script, which is to end in `exec "$@"`; it strikes when the script
// opens the file that the variable STRUCK names.
Injection start_by_script(const Site& site, const std::string& script);

// What the user's own code does when it is called at the place (faults/seams/user_hooks.h).
enum class UserDeed {
  kSpin = 1,
  kThrow = 2,
  kCrossLocks = 3,
  kWaitForEver = 4,
  kEndProcess = 5,
  kStopProcess = 6,
  kTakeLong = 7,  // but less than any guard allows
  kSpoil = 8,     // the loss becomes NaN
  kTakeLock = 9,
};
Injection featurizer_does(const Site& site, UserDeed deed);
// At each sample of the struck batch, in a process that lived through an earlier epoch.
Injection stale_featurizer_does(const Site& site, UserDeed deed);
// At each sample from the struck batch on, in whatever process, each time anew.
Injection featurizer_goes_on(const Site& site, UserDeed deed);
// Takes a lock that a thread of the rank has held since an epoch before; without that it does nothing.
Injection featurizer_takes_held_lock(const Site& site);
Injection forward_does(const Site& site, UserDeed deed);
Injection loss_does(const Site& site, UserDeed deed);
// Before the first gradient is ready; where a subject has a seam there.
Injection backward_does(const Site& site, UserDeed deed);

// Little-endian WAV files of 44-byte headers, as the corpora have them.
inline constexpr int64_t kWavHeaderBytes = 44;

}  // namespace batch71::faults
