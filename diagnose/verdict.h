// What can be said of a run: kinds of verdict, one entry each in the table of verdict.cc.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "trace/event.h"

namespace batch71::diagnose {

enum class Kind {
  kNothingWrong,  // finished or in progress, no dummies, nobody stuck
  // An item became a dummy (recovered), or stopped the job:
  kAudioMissing,
  kAudioUnreadable,
  kAudioTruncated,
  kAudioWrongFormat,
  kAudioNotFinite,
  kItemThrew,         // user code threw
  kReadBlocked,       // the worker sleeps in a read or an open
  kReadUnkillable,    // and is deaf to SIGKILL
  kFeaturizerStuck,   // the worker runs (or sleeps) in user code
  kWorkerDeadlocked,  // threads of the worker wait for each other's locks
  kWorkerStopped,     // state T
  kWorkerKilled,      // by a signal that the watch did not send
  kWorkerExited,      // by itself
  kItemStuck,         // stands still or was lost, and the traces do not say why
  kStateLeftBehind,   // user code fails in workers that lived through an earlier epoch
  // A rank:
  kForwardStuck,
  kLossStuck,
  kBackwardStuck,
  kRankKilled,
  kRankStopped,
  kRankExited,
  kRankMissing,      // never came
  kRankStuck,        // stands still elsewhere, or the traces do not say why
  kCollectiveStuck,  // all wait, nobody is to blame by the traces
  // The job:
  kShardsUneven,
  kShardsIdentical,
  kRanksDisagree,
  kErrorBudgetSpent,
  kZygoteLost,
  kCrashLoop,       // every replacement of a worker dies
  kWorkersStarved,  // every slot of the arena is kept by the user
  kNonFiniteLoss,
  kTracingReduced,  // the run folder's file system is (nearly) full
};

// One finding, with the place where it applies (-1 or empty: does not apply).
struct Verdict {
  Kind kind = Kind::kNothingWrong;
  int rank = -1;
  int worker = -1;
  int32_t epoch = -1;
  int32_t batch = -1;
  int64_t index = -1;
  std::string file;
  std::string what;  // in what ranks differ, who left as well, why
  trace::Stage stage = trace::Stage::kNone;
  bool recovered = false;             // a dummy took its place and the job went on
  bool sure = true;                   // false: the traces are cut or lack an observation
  uint64_t since_ns = 0;              // CLOCK_MONOTONIC: when what is stuck began
  uint64_t detected_ns = 0;           // CLOCK_MONOTONIC: when a watch stamped it; 0: nobody did
  std::vector<std::string> evidence;  // sentences, each with its source
  std::vector<int> waiting;           // ranks that merely wait for this one
};

struct KindText {
  Kind kind;
  std::string_view name;  // "read_blocked"
  std::string_view says;  // "the worker is blocked in a read"
  std::string_view remedy;
};
const KindText& text(Kind kind);
// What to do about it: the kind's, or that of noise where a noise file is to blame.
std::string_view remedy(const Verdict& verdict);
const std::vector<KindText>& all_kinds();
// The table of docs/verdicts.md.
std::string kinds_as_markdown();

}  // namespace batch71::diagnose
