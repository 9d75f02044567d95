// Names of roles, stages and events: what people read and what tests compare.
#include "trace/event.h"

namespace batch71::trace {

std::string_view name(Role role) {
  switch (role) {
    case Role::kMain: return "main";
    case Role::kLoaderWatch: return "loader-watch";
    case Role::kStepWatch: return "step-watch";
    case Role::kZygote: return "zygote";
    case Role::kWorker: return "worker";
    case Role::kLaunch: return "launch";
  }
  return "unknown";
}

std::string_view name(Stage stage) {
  switch (stage) {
    case Stage::kNone: return "none";
    case Stage::kGetitem: return "getitem";
    case Stage::kAudioOpen: return "audio_open";
    case Stage::kAudioRead: return "audio_read";
    case Stage::kResample: return "resample";
    case Stage::kNoiseMix: return "noise_mix";
    case Stage::kFeaturize: return "featurize";
    case Stage::kCollate: return "collate";
    case Stage::kQueueWait: return "queue_wait";
    case Stage::kSetup: return "setup";
    case Stage::kStep: return "step";
    case Stage::kFetch: return "fetch";
    case Stage::kAgree: return "agree";
    case Stage::kForward: return "forward";
    case Stage::kLoss: return "loss";
    case Stage::kBackward: return "backward";
    case Stage::kAllreduce: return "allreduce";
    case Stage::kOptimizer: return "optimizer";
    case Stage::kShutdown: return "shutdown";
    case Stage::kCheckpoint: return "checkpoint";
  }
  return "unknown";
}

std::string_view name(Event event) {
  switch (event) {
    case Event::kGetitemCalled: return "getitem_called";
    case Event::kAudioOpening: return "audio_opening";
    case Event::kAudioReading: return "audio_reading";
    case Event::kAudioLoaded: return "audio_loaded";
    case Event::kResampling: return "resampling";
    case Event::kFeaturizing: return "featurizing";
    case Event::kItemDone: return "item_done";
    case Event::kItemFailed: return "item_failed";
    case Event::kQueueWaiting: return "queue_waiting";
    case Event::kStepStarted: return "step_started";
    case Event::kFetching: return "fetching";
    case Event::kFetched: return "fetched";
    case Event::kAgreeing: return "agreeing";
    case Event::kAgreed: return "agreed";
    case Event::kForwardCalled: return "forward_called";
    case Event::kForwardDone: return "forward_done";
    case Event::kLossDone: return "loss_done";
    case Event::kBackwardCalled: return "backward_called";
    case Event::kAllreduceStarted: return "allreduce_started";
    case Event::kAllreduceDone: return "allreduce_done";
    case Event::kOptimizerCalled: return "optimizer_called";
    case Event::kStepDone: return "step_done";
    case Event::kBeat: return "beat";
    case Event::kCheckpointing: return "checkpointing";
    case Event::kCheckpointed: return "checkpointed";
    case Event::kNoiseOpening: return "noise_opening";
    case Event::kNoiseReading: return "noise_reading";
    case Event::kNoiseMixed: return "noise_mixed";
    case Event::kStarting: return "starting";
    case Event::kSettings: return "settings";
    case Event::kLoaderCreated: return "loader_created";
    case Event::kWorkerSpawned: return "worker_spawned";
    case Event::kWorkerExited: return "worker_exited";
    case Event::kObservation: return "observation";
    case Event::kKilledByWatch: return "killed_by_watch";
    case Event::kDummy: return "dummy";
    case Event::kError: return "error";
    case Event::kAgreementText: return "agreement";
    case Event::kDisagreement: return "disagreement";
    case Event::kSymptom: return "symptom";
    case Event::kVerdict: return "verdict";
    case Event::kEnding: return "ending";
    case Event::kRankEnded: return "rank_ended";
    case Event::kRankStarted: return "rank_started";
    case Event::kLost: return "lost";
    case Event::kDone: return "done";
    case Event::kTracingReduced: return "tracing_reduced";
    case Event::kUnkillable: return "unkillable";
    case Event::kPadded: return "padded";
    case Event::kDropped: return "dropped";
    case Event::kJoined: return "joined";
    case Event::kResumed: return "resumed";
    case Event::kWarning: return "warning";
  }
  return "unknown";
}

}  // namespace batch71::trace
