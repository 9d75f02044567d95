// What a user's own code does to one sample, or in one step: it goes wrong, once a job.
//
// The JSON file that the environment variable USER_HOOKS names says where and what:
//   {"at":"featurizer","rank":1,"index":2274,"do":1,"log":"/case/strikes.jsonl","once":"/case/once"}
//   {"at":"forward","rank":1,"batch":71,"do":4,...}
// Before it acts it appends a line to the log (corpusfs/strike_log.h has the format) and creates the
// file `once`; where that is there already it does nothing. Without USER_HOOKS nothing is done at all.
// Stacks and texts of this code end up in the traces that are to be judged: its names are neutral.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace user {

class Hooks {
 public:
  // As USER_HOOKS says. Throws std::runtime_error if the file cannot be read.
  static Hooks from_environment();

  bool watches_featurizer() const { return at_ == At::kFeaturizer; }
  bool watches_forward() const { return at_ == At::kForward; }
  // Called by a featurizer for each sample, by a model for each step of this rank.
  void sample(int64_t index) const;
  void step(int64_t batch) const;

 private:
  enum class At { kNowhere, kFeaturizer, kForward };
  void act_once(const char* place) const;

  At at_ = At::kNowhere;
  int64_t number_ = -1;  // the index or the batch
  int deed_ = 0;
  std::string log_;
  std::string once_;
};

}  // namespace user
