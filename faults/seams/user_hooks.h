// What a user's own code does to one sample, or in one step: it goes wrong, once a job.
//
// The JSON file that the environment variable USER_HOOKS names says where and what:
//   {"at":"featurizer","rank":1,"epoch":0,"indices":[2274],"do":1,"log":"/case/strikes.jsonl",
//    "once":"/case/once"}
//   {"at":"forward","rank":1,"epoch":0,"batch":71,"do":4,...}, and "at":"loss", "at":"backward" alike
// Before it acts it appends a line to the log (corpusfs/strike_log.h has the format) and creates the
// file `once`; where that is there already it does nothing. Without USER_HOOKS nothing is done at all.
// "from_table": true: its table is begun with the first sample that a process sees and never renewed,
// and those samples are not in one of an earlier epoch. Then it acts at each of them, in such a process.
// "goes_on": true: it acts, and appends a line, at each of them; and at all samples of later epochs.
// "held": a file. From the first step on of an epoch before, a thread of the rank holds the lock of its
// table, and a lock on that file for as long as that is so; then it acts only while another process does.
// Where libuser_locks.so is preloaded, and the program has a mutex that processes share, a featurizer
// waits with what it does until its process holds that mutex and another one waits for it.
// Stacks and texts of this code end up in the traces that are to be judged: its names are neutral.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace user {

class Hooks {
 public:
  // As USER_HOOKS says. Throws std::runtime_error if the file cannot be read.
  static Hooks from_environment();

  bool watches_featurizer() const { return at_ == At::kFeaturizer; }
  bool watches_model() const {
    return (at_ != At::kNowhere && at_ != At::kFeaturizer) || !held_.empty();
  }
  // What follows, in this process, belongs to that epoch; without a call it is epoch 0.
  void set_epoch(int64_t epoch) { now_ = epoch; }
  // Called by a featurizer for each sample, by a model for each step of this rank, for its loss, and in backward.
  void sample(int64_t index);
  void step(int64_t batch) const;
  // True if that loss is to become NaN.
  bool loss(int64_t batch) const;
  void backward(int64_t batch) const;

 private:
  enum class At { kNowhere, kFeaturizer, kForward, kLoss, kBackward };
  static At at_from(const std::string& name);
  // True once: in that step.
  bool is_due(At at, int64_t batch, const char* place) const;
  // False: no libuser_locks.so is preloaded, or the program shares no mutex.
  bool waits_for_shared_lock() const;
  // False if somebody acted before.
  bool note_first(const char* place) const;
  void note(const char* place) const;
  void sample_from_then_on(bool is_it) const;

  At at_ = At::kNowhere;
  int64_t epoch_ = -1;            // in which it goes wrong
  std::vector<int64_t> numbers_;  // indices, or the batch
  bool from_table_ = false;
  bool goes_on_ = false;
  std::string held_;
  int deed_ = 0;
  std::string log_;
  std::string once_;
  int64_t now_ = 0;           // the epoch
  int64_t table_epoch_ = -1;  // in which this process began its table; -1: not yet
};

}  // namespace user
