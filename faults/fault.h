// A fault: one way in which a sample, a file, a worker or a rank goes wrong, and what must be seen of it.
//
// One file per fault defines it (wav_nan.cc, ...); catalogue.cc names it. A fault comes from outside of
// the loader (a file, a file system, a signal) or through a seam that a user has too (a featurizer, a
// model, a manifest). Names and fields are the catalogue's: docs/faults.md is generated from them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "faults/injection.h"

namespace batch71::faults {

enum class Family { kData, kIo, kWorker, kStep, kRank, kShards, kResources };

// What is struck: one sample on its way, a rank's training step, what it is to train on, the rank, or
// the rank before it has met the others.
enum class Target { kItem, kStep, kShard, kRank, kStart };

// What a loader without guards does, seen from outside; one that has workers.
enum class ControlEffect { kHangs, kDies, kSilentlySpoils };

// What a guarded job loses: nothing, the struck item (a dummy), all items of the struck batch, or the
// job ends and says why.
enum class Loss { kNothing, kStruckItem, kStruckBatch, kJobEnds };

// The guard that answers; it bounds the time from strike to detection.
enum class Deadline { kNone, kItem, kStep, kCollective, kStartup };

struct Needs {
  bool fuse = false;           // a file system of our own
  bool workers = false;        // num_workers of at least 1
  int epochs = 1;              // it strikes in the last of them at the earliest
  bool peers = false;          // other ranks that notice
  bool noise = false;          // noise that is mixed in: the file of the sample's noise is struck
  bool fresh_workers = false;  // new ones in each epoch (persistent_workers: false)
  bool hooks = false;          // a subject that calls libuser_hooks.so (docs/subjects.md)
};

struct Fault {
  std::string name;
  Family family{};
  Target target{};
  std::string says;       // one sentence
  std::string seam;       // where it enters
  std::string how;        // how it is really done
  std::string unguarded;  // what a loader without guards does
  ControlEffect control{};
  // The op by which it strikes in a control, where another one would show something else. Else empty.
  std::string control_op{};
  std::string guard;                // that answers: a row of docs/guards.md
  std::string verdict;              // name of the diagnose::Kind that must be found
  std::vector<std::string> stages;  // where it must be found: one of these
  Loss loses{};
  Deadline bound{};
  // The process that works on the item does not come back: without workers the job cannot go on.
  bool holds_its_process = false;
  // Spoiled before the job begins: it strikes in the first epoch, and again in each later one.
  bool is_lasting = false;
  // From its place on it strikes whoever comes: several times, of which the first one counts.
  bool strikes_on = false;
  // All ranks are struck alike: none of them is to blame.
  bool strikes_all = false;
  // Rank 0, which hosts the store, is the one that is struck.
  bool strikes_host = false;
  // persistent_workers: false is its remedy: then it does not strike.
  bool spares_fresh_workers = false;
  Needs needs{};
  // Spoils the site and says what must run beside the job. Throws std::runtime_error.
  Injection (*inject)(const Site& site) = nullptr;
};

std::string_view name(Family family);
std::string_view name(ControlEffect effect);
std::string_view name(Loss loss);

// All faults, in the order in which they came. A duplicate name is an error.
const std::vector<Fault>& catalogue();
// UsageError with the nearest known name.
const Fault& find_fault(const std::string& name);

// The page of docs/faults.md.
std::string catalogue_as_markdown();
// README's table: fault, verdict, guard, and what a loader without guards does.
std::string faults_and_guards_as_markdown();

}  // namespace batch71::faults
