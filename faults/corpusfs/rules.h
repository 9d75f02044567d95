// Which access to which file is struck, and how: the rules of a corpus server.
//
// A JSON array of {"path": relative to the folder, "op": "lookup"|"open"|"read", "action": ...,
// "strikes": 1, "nth": 1, "after_opens": 0}; the last three may be left out. An action is
//   log          nothing but a line in the strike log
//   fail         EIO, as of a bad sector
//   deny         there is no such file, from then on
//   block        no answer, until the reader is interrupted: then EINTR
//   block_deaf   no answer, whatever comes: the killed reader stays in state D until the server ends
//   stop_reader  SIGSTOP to the reading process, then the answer
//   kill_reader  SIGKILL to it, then the answer
//   kill_parent  SIGKILL to its parent, then the answer
#pragma once

#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace batch71::faults {

enum class Op { kLookup, kOpen, kRead };
enum class Action { kLog, kFail, kDeny, kBlock, kBlockDeaf, kStopReader, kKillReader, kKillParent };
std::string_view name(Op op);
std::string_view name(Action action);

struct Rule {
  std::string path;
  Op op = Op::kRead;
  Action action = Action::kLog;
  int strikes = 1;  // so many times
  int nth = 1;      // beginning with the n-th such access
  // Accesses count from when the file was opened that many times: of earlier epochs.
  int64_t after_opens = 0;
};

// Throws UsageError with the file's name.
std::vector<Rule> read_rules(const std::string& path);

// Counts accesses and strikes. Thread-safe.
class Rules {
 public:
  explicit Rules(std::vector<Rule> rules);
  // What to do to this access; nullopt: nothing.
  std::optional<Action> take(Op op, const std::string& path);
  // True once a rule said that there is no such file.
  bool is_denied(const std::string& path);

 private:
  struct Counted {
    Rule rule;
    int accesses = 0;
    int64_t opens = 0;
  };
  std::mutex mutex_;
  std::vector<Counted> rules_;
};

}  // namespace batch71::faults
