// What a trace record can say: roles of writers, stages of items and steps, events.
//
// The numbers are part of the record ABI: append only, never reuse.
#pragma once

#include <cstdint>
#include <string_view>

namespace batch71::trace {

// Who writes the file. One file per writing thread.
enum class Role : uint32_t {
  kMain = 0,         // a rank's training thread
  kLoaderWatch = 1,  // a rank's thread that feeds workers and holds items against deadlines
  kStepWatch = 2,    // a rank's thread that holds steps and collectives against deadlines
  kZygote = 3,       // the process that forks a rank's workers
  kWorker = 4,       // a worker process
  kLaunch = 5,       // the program that started the ranks
};

// What is being done right now: to an item (first block), to a step (second), or nothing.
enum class Stage : uint16_t {
  kNone = 0,
  kGetitem = 1,
  kAudioOpen = 2,
  kAudioRead = 3,
  kResample = 4,
  kNoiseMix = 5,
  kFeaturize = 6,
  kCollate = 7,
  kQueueWait = 8,  // a worker without work

  kSetup = 20,  // before the first epoch
  kStep = 21,   // between the other stages of a step
  kFetch = 22,  // main waits for a batch
  kAgree = 23,  // collective: agreement before an epoch or a step
  kForward = 24,
  kLoss = 25,
  kBackward = 26,
  kAllreduce = 27,  // collective: gradients, inside backward
  kOptimizer = 28,
  kShutdown = 29,
  kCheckpoint = 30,  // rank 0 writes the job's state
};

enum class Event : uint16_t {
  // Hot ring: stages. `arg0`, `arg1` and `text` as noted.
  kGetitemCalled = 1,  // an item begins
  kAudioOpening = 2,   // text: path
  kAudioReading = 3,   // arg0: frames declared
  kAudioLoaded = 4,    // arg0: channels, arg1: frames
  kResampling = 5,     // arg0: from Hz, arg1: to Hz
  kFeaturizing = 6,
  kItemDone = 7,    // arg0: frames of features
  kItemFailed = 8,  // text: why; the rank makes the dummy
  kQueueWaiting = 9,
  kStepStarted = 10,  // stage kStep
  kFetching = 11,
  kFetched = 12,   // arg0: items, arg1: dummies among them
  kAgreeing = 13,  // arg0: which agreement (0 epoch, 1 step, 2 start)
  kAgreed = 14,
  kForwardCalled = 15,
  kForwardDone = 16,  // loss is computed next
  kLossDone = 17,     // arg0: bits of the double
  kBackwardCalled = 18,
  kAllreduceStarted = 19,  // arg0: bytes
  kAllreduceDone = 20,
  kOptimizerCalled = 21,
  kStepDone = 22,  // arg0: bits of the global loss (double), arg1: valid samples over all ranks
  kBeat = 23,      // a watch is alive; arg0: its oversleep in ns
  kCheckpointing = 24,  // stage kCheckpoint; arg0: steps taken so far
  kCheckpointed = 25,   // arg0: steps in it, arg1: bytes
  kNoiseOpening = 26,   // stage kNoiseMix; text: path
  kNoiseReading = 27,   // arg0: frames declared; 0: its header
  kNoiseMixed = 28,     // arg0: SNR in thousandths of a dB, arg1: samples that were added
  kStarting = 29,       // a rank's first word: it makes its loader and meets the others

  // Incident log: rare, never overwritten.
  kSettings = 100,       // text: "world_size=4, shuffle=True, ..." (DataLoader settings)
  kLoaderCreated = 101,  // text: "sampler=DistributedSampler, num_batches=..."
  kWorkerSpawned = 102,  // arg0: pid, arg1: worker * 65536 + generation
  kWorkerExited =
      103,  // arg0: wait status (waitpid encoding), arg1: worker * 65536 + generation; index: item at its mailbox's head or -1
  kObservation = 104,    // arg0: pid seen, arg1: CPU time ns; text: see process_state.h
  kKilledByWatch = 105,  // arg0: pid, arg1: worker * 65536 + generation
  kDummy =
      106,  // an item became a dummy; stage: where; text: "reason=... file=..." (see loader/dummy.h)
  kError = 107,          // text: what was thrown, then the stack, one frame a line
  kAgreementText = 108,  // text: this rank's side of an agreement, "key=value ..."
  kDisagreement = 109,   // text: who is at odds and in what
  kSymptom = 110,  // a collective failed or is past its deadline; text: the exception or "deadline"
  kVerdict = 111,  // text: the verdict line that this rank prints
  kEnding = 112,   // arg0: exit code; text: why
  kRankEnded = 113,    // launch: arg0: wait status, arg1: rank
  kRankStarted = 114,  // launch: arg0: pid, arg1: rank
  kLost =
      115,  // text: what this rank has lost (zygote, slots, workers); of a crash loop also arg0:
            // wait status, arg1: worker * 65536 + generation
  kDone = 116,            // the job ended as planned; arg0: dummies over all ranks
  kTracingReduced = 117,  // text: why and to what
  kUnkillable = 118,      // arg0: pid that outlived SIGKILL, arg1: worker * 65536 + generation
  kPadded = 119,          // arg0: batches repeated on this rank (uneven: pad)
  kDropped = 120,         // arg0: samples left out on this rank (uneven: drop)
  kJoined =
      121,  // this rank has fewer batches than others, and goes on with shadow batches after arg0
  kResumed = 122,  // text: where an earlier attempt's checkpoint lets this one begin
  kWarning = 123,  // text: what the program had better do; nothing is wrong with the data
};

std::string_view name(Role role);
std::string_view name(Stage stage);
std::string_view name(Event event);

// True for the stages in which a rank may stand still only because another one does.
constexpr bool is_collective(Stage stage) {
  return stage == Stage::kAgree || stage == Stage::kAllreduce;
}
constexpr bool is_item_stage(Stage stage) {
  return stage >= Stage::kGetitem && stage <= Stage::kCollate;
}

}  // namespace batch71::trace
