// The exit codes of every program of the project: one place, listed by `batch71 --help`.
#pragma once

#include <array>
#include <string_view>

namespace batch71 {

enum class ExitCode : int {
  kDone = 0,
  kFailure = 1,            // anything that has no code of its own (a bug, a failed gate)
  kUsage = 2,              // bad command line, config or manifest: nothing was started
  kErrorBudgetSpent = 20,  // more dummy items than `guards.error_budget` allows
  kItemStuck = 21,         // an item is past its deadline and cannot be taken back
  kZygoteLost = 22,        // the process that forks workers is gone or stopped
  kPeerLost = 23,          // another rank is killed, stopped, stuck or silent
  kRanksDisagree = 24,     // ranks differ in what they are about to do
  kNonFiniteLoss = 25,     // the loss became NaN or infinite
  kStepStuck = 26,     // this rank's own forward, loss, backward or optimizer is past its deadline
  kCrashLoop = 27,     // every replacement of a worker dies before it finishes a sample
  kInterrupted = 130,  // Ctrl-C, as shells report it
};

struct ExitCodeText {
  ExitCode code;
  std::string_view meaning;
};

inline constexpr std::array<ExitCodeText, 12> kExitCodes{{
    {ExitCode::kDone, "done"},
    {ExitCode::kFailure, "failed"},
    {ExitCode::kUsage, "usage, config or manifest error: nothing was started"},
    {ExitCode::kErrorBudgetSpent, "error budget spent"},
    {ExitCode::kItemStuck, "an item is stuck and cannot be taken back"},
    {ExitCode::kZygoteLost, "the worker zygote is lost"},
    {ExitCode::kPeerLost, "a peer rank is lost"},
    {ExitCode::kRanksDisagree, "ranks disagree"},
    {ExitCode::kNonFiniteLoss, "non-finite loss"},
    {ExitCode::kStepStuck, "the training step is stuck"},
    {ExitCode::kCrashLoop, "every replacement of a worker dies"},
    {ExitCode::kInterrupted, "interrupted by Ctrl-C (143: by SIGTERM)"},
}};

}  // namespace batch71
