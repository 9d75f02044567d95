// Runs that went wrong, as two ranks write them: rank 1 is struck at item 568 of batch 71.
#include "diagnose/scenarios_test_util.h"

#include <bit>
#include <limits>

#include "trace/exit_code.h"

namespace batch71::diagnose {
namespace {

using trace::Event;
using trace::Place;
using trace::Stage;
using trace::Writer;

constexpr Place kItem{0, 71, 568};
constexpr Place kStep{0, 71, -1};
constexpr int64_t kWorker0 = 0;  // worker * 65536 + generation
constexpr int kSigKill = 9;
constexpr int kExited3 = 3 << 8;

int64_t code(ExitCode exit_code) { return static_cast<int64_t>(exit_code); }

void begin_job(RunFolderBuilder& run) {
  for (int rank : {0, 1}) {
    run.launch().incident(Event::kRankStarted, Stage::kNone, "", 100 + rank, rank);
    Writer& main = run.main(rank);
    main.incident(Event::kSettings, Stage::kSetup, "world_size=2, shuffle=True");
    main.incident(Event::kLoaderCreated, Stage::kSetup, "sampler=DistributedSampler");
    main.incident_at({0, -1, -1}, Event::kAgreementText, Stage::kAgree,
                     "rank=" + std::to_string(rank));
    main.begin({0, 70, -1});
    main.record(Event::kStepStarted, Stage::kStep);
    main.record(Event::kStepDone, Stage::kStep, std::bit_cast<int64_t>(1.5), 16);
    run.loader_watch(rank).record(Event::kBeat, Stage::kNone);
    run.step_watch(rank).record(Event::kBeat, Stage::kNone);
  }
}

void main_in(RunFolderBuilder& run, int rank, Event event, Stage stage) {
  run.main(rank).begin(kStep);
  run.main(rank).record(Event::kStepStarted, Stage::kStep);
  run.main(rank).record(event, stage);
}

void rank0_waits(RunFolderBuilder& run) {
  main_in(run, 0, Event::kAllreduceStarted, Stage::kAllreduce);
}

void beat(RunFolderBuilder& run, int rank) {
  run.loader_watch(rank).record(Event::kBeat, Stage::kNone);
  run.step_watch(rank).record(Event::kBeat, Stage::kNone);
}

void work_on_item(RunFolderBuilder& run, Stage until) {
  Writer& worker = run.worker(1, 0);
  worker.begin(kItem);
  worker.record(Event::kGetitemCalled, Stage::kGetitem);
  worker.record_text(Event::kAudioOpening, Stage::kAudioOpen, "/corpus/a b.wav");
  if (until == Stage::kAudioOpen) return;
  worker.record(Event::kAudioReading, Stage::kAudioRead, 4000);
  if (until == Stage::kAudioRead) return;
  worker.record(Event::kAudioLoaded, Stage::kFeaturize, 1, 4000);
  worker.record(Event::kFeaturizing, Stage::kFeaturize);
}

void finish(RunFolderBuilder& run, int64_t dummies) {
  for (int rank : {0, 1}) {
    Writer& main = run.main(rank);
    main.begin({0, 79, -1});
    main.record(Event::kStepDone, Stage::kStep, std::bit_cast<int64_t>(1.2), 16);
    main.incident(Event::kDone, Stage::kShutdown, "", dummies);
    run.launch().incident(Event::kRankEnded, Stage::kNone, "", 0, rank);
  }
}

void dummy(RunFolderBuilder& run, int64_t reason, const std::string& name, Stage stage) {
  run.loader_watch(1).incident_at(kItem, Event::kDummy, stage,
                                  "reason=" + name + " file=/corpus/a b.wav why=as it was found",
                                  reason, kWorker0);
}

void observe_worker(RunFolderBuilder& run, Stage stage, const std::string& states) {
  run.loader_watch(1).incident_at(kItem, Event::kObservation, stage, "who=rank1.worker0 " + states,
                                  4711, 12'000'000);
}

void observe_main(RunFolderBuilder& run, int by, Stage stage, const std::string& state) {
  run.step_watch(by).incident_at(kStep, Event::kObservation, stage, "who=rank1.main " + state, 101,
                                 5);
}

// The one way out: symptom, a look at itself unless a peer is to blame, ending.
void leave(RunFolderBuilder& run, int rank, ExitCode exit_code, const std::string& why) {
  Writer& watch = run.step_watch(rank);
  const Stage stage = run.main(rank).stage();
  const bool is_own = exit_code != ExitCode::kPeerLost;
  watch.incident_at(kStep, Event::kSymptom, stage, why, is_own ? code(exit_code) : 0);
  if (is_own && stage != Stage::kFetch) {
    watch.incident_at(kStep, Event::kObservation, stage,
                      "who=rank" + std::to_string(rank) + ".main state=S syscall=pause",
                      100 + rank);
  }
  watch.incident_at(kStep, Event::kEnding, Stage::kShutdown, why, code(exit_code));
  run.launch().incident(Event::kRankEnded, Stage::kNone, "", code(exit_code) << 8, rank);
}

void rank0_loses_peer(RunFolderBuilder& run) {
  leave(run, 0, ExitCode::kPeerLost, "deadline: allreduce is past 500 ms");
}

template <int kReason>
void bad_audio(RunFolderBuilder& run) {
  constexpr const char* kNames[] = {
      "", "missing", "unreadable", "truncated", "wrong_format", "not_finite", "threw", "too_long"};
  begin_job(run);
  const Stage stage = kReason == 6 ? Stage::kFeaturize : Stage::kAudioRead;
  work_on_item(run, stage);
  if (kReason == 6) run.worker(1, 0).incident(Event::kError, stage, "bad sample\n#0 process()");
  dummy(run, kReason, kNames[kReason], stage);
  finish(run, 1);
}

// Two samples that throw in epoch 1, in a worker that lives since epoch 0.
void state_left_behind(RunFolderBuilder& run) {
  begin_job(run);
  for (const int64_t index : {568, 569}) {
    const Place item{1, 71, index};
    run.worker(1, 0).incident_at(item, Event::kError, Stage::kFeaturize, "no entry\n#0 process()");
    run.loader_watch(1).incident_at(
        item, Event::kDummy, Stage::kFeaturize,
        "reason=threw worker_since_epoch=0 file=/corpus/a b.wav why=no entry", 6, kWorker0);
  }
  finish(run, 2);
}

// A stuck worker, seen in that state, killed and replaced.
void recovered_worker(RunFolderBuilder& run, Stage stage, const std::string& states) {
  begin_job(run);
  work_on_item(run, stage);
  observe_worker(run, stage, states);
  run.loader_watch(1).incident_at(kItem, Event::kKilledByWatch, stage, "", 4711, kWorker0);
  run.loader_watch(1).incident_at(kItem, Event::kWorkerExited, stage, "", kSigKill, kWorker0);
  dummy(run, 8, "stuck", stage);
  finish(run, 1);
}

void read_blocked(RunFolderBuilder& run) {
  recovered_worker(run, Stage::kAudioOpen,
                   "state=S wchan=wait_for_partner syscall=openat cpu_ms=12");
}
void featurizer_loops(RunFolderBuilder& run) {
  recovered_worker(run, Stage::kFeaturize, "state=R cpu_ms=1200");
}
void worker_deadlocked(RunFolderBuilder& run) {
  recovered_worker(run, Stage::kFeaturize,
                   "state=S wchan=futex_wait_queue syscall=futex cpu_ms=12\n"
                   "thread state=S wchan=futex_wait_queue syscall=futex cpu_ms=12");
}
void worker_stopped(RunFolderBuilder& run) {
  recovered_worker(run, Stage::kFeaturize, "state=T wchan=do_signal_stop cpu_ms=12");
}
// A worker that was given an item, and stopped or killed before it took it: another got the item.
void idle_worker_stopped(RunFolderBuilder& run) {
  begin_job(run);
  observe_worker(run, Stage::kQueueWait, "state=T wchan=do_signal_stop cpu_ms=12");
  run.loader_watch(1).incident_at(kItem, Event::kKilledByWatch, Stage::kQueueWait, "", 4711,
                                  kWorker0);
  run.loader_watch(1).incident_at(kItem, Event::kWorkerExited, Stage::kQueueWait, "", kSigKill,
                                  kWorker0);
  finish(run, 0);
}
void idle_worker_killed(RunFolderBuilder& run) {
  begin_job(run);
  run.loader_watch(1).incident_at(kItem, Event::kWorkerExited, Stage::kQueueWait, "", kSigKill,
                                  kWorker0);
  finish(run, 0);
}
// Past its deadline, killed, and done all the same.
void killed_too_late(RunFolderBuilder& run) {
  begin_job(run);
  observe_worker(run, Stage::kFeaturize, "state=R cpu_ms=12");
  run.loader_watch(1).incident_at(kItem, Event::kKilledByWatch, Stage::kFeaturize, "", 4711,
                                  kWorker0);
  run.loader_watch(1).incident_at(kItem, Event::kWorkerExited, Stage::kQueueWait, "", kSigKill,
                                  kWorker0);
  finish(run, 0);
}
void read_unkillable(RunFolderBuilder& run) {
  begin_job(run);
  work_on_item(run, Stage::kAudioRead);
  observe_worker(run, Stage::kAudioRead,
                 "state=S wchan=request_wait_answer syscall=read fd=7 cpu_ms=1");
  run.loader_watch(1).incident_at(kItem, Event::kKilledByWatch, Stage::kAudioRead, "", 4711,
                                  kWorker0);
  run.loader_watch(1).incident_at(kItem, Event::kUnkillable, Stage::kAudioRead, "", 4711, kWorker0);
  dummy(run, 8, "stuck", Stage::kAudioRead);
  finish(run, 1);
}

// The sample itself was read well before.
void read_noise(Writer& writer) {
  writer.begin(kItem);
  writer.record(Event::kGetitemCalled, Stage::kGetitem);
  writer.record_text(Event::kAudioOpening, Stage::kAudioOpen, "/corpus/a b.wav");
  writer.record(Event::kAudioLoaded, Stage::kGetitem, 1, 4000);
  writer.record_text(Event::kNoiseOpening, Stage::kNoiseMix, "/noise/c d.wav");
}
void noise_dummy(RunFolderBuilder& run, int64_t reason, const std::string& name) {
  run.loader_watch(1).incident_at(
      kItem, Event::kDummy, Stage::kNoiseMix,
      "reason=" + name + " file=/noise/c d.wav why=bad; noise for /corpus/a b.wav", reason,
      kWorker0);
}
void noise_unreadable(RunFolderBuilder& run) {
  begin_job(run);
  read_noise(run.worker(1, 0));
  noise_dummy(run, 2, "unreadable");
  finish(run, 1);
}
void noise_blocked(RunFolderBuilder& run) {
  begin_job(run);
  read_noise(run.worker(1, 0));
  observe_worker(run, Stage::kNoiseMix, "state=S wchan=wait_for_partner syscall=openat cpu_ms=12");
  run.loader_watch(1).incident_at(kItem, Event::kKilledByWatch, Stage::kNoiseMix, "", 4711,
                                  kWorker0);
  run.loader_watch(1).incident_at(kItem, Event::kWorkerExited, Stage::kNoiseMix, "", kSigKill,
                                  kWorker0);
  noise_dummy(run, 8, "stuck");
  finish(run, 1);
}
void main_blocked_in_noise(RunFolderBuilder& run) {
  begin_job(run);
  rank0_waits(run);
  read_noise(run.main(1));
  run.loader_watch(1).incident_at(kItem, Event::kObservation, Stage::kNoiseMix,
                                  "who=rank1.main state=S wchan=wait_for_partner syscall=openat",
                                  101);
  run.loader_watch(1).incident_at(kItem, Event::kEnding, Stage::kNoiseMix, "item 568 is stuck",
                                  code(ExitCode::kItemStuck));
  run.launch().incident(Event::kRankEnded, Stage::kNone, "", code(ExitCode::kItemStuck) << 8, 1);
  rank0_loses_peer(run);
}

template <int kStatus>
void worker_gone(RunFolderBuilder& run) {
  begin_job(run);
  work_on_item(run, Stage::kAudioRead);
  run.loader_watch(1).incident_at(kItem, Event::kWorkerExited, Stage::kAudioRead, "", kStatus,
                                  kWorker0);
  dummy(run, 9, "worker_lost", Stage::kAudioRead);
  finish(run, 1);
}

// Guards off: nobody acts, one early observation, everybody stands still.
void featurizer_hangs_for_good(RunFolderBuilder& run) {
  begin_job(run);
  work_on_item(run, Stage::kFeaturize);
  main_in(run, 1, Event::kFetching, Stage::kFetch);
  rank0_waits(run);
  for (Writer* writer : {&run.main(0), &run.main(1), &run.worker(1, 0)})
    run.make_older(*writer, 60);
  observe_worker(run, Stage::kFeaturize, "state=R cpu_ms=60000");
  beat(run, 0);
  beat(run, 1);
}
void nobody_looked_at_the_worker(RunFolderBuilder& run) {
  begin_job(run);
  work_on_item(run, Stage::kFeaturize);
  main_in(run, 1, Event::kFetching, Stage::kFetch);
  rank0_waits(run);
  for (Writer* writer : {&run.main(0), &run.main(1), &run.worker(1, 0)})
    run.make_older(*writer, 60);
  beat(run, 0);
  beat(run, 1);
}
void main_blocked_in_its_own_read(RunFolderBuilder& run) {
  begin_job(run);
  rank0_waits(run);
  Writer& main = run.main(1);
  main.begin(kItem);
  main.record(Event::kGetitemCalled, Stage::kGetitem);
  main.record_text(Event::kAudioOpening, Stage::kAudioOpen, "/corpus/a b.wav");
  run.loader_watch(1).incident_at(kItem, Event::kObservation, Stage::kAudioOpen,
                                  "who=rank1.main state=S wchan=wait_for_partner syscall=openat",
                                  101);
  run.loader_watch(1).incident_at(kItem, Event::kEnding, Stage::kAudioOpen, "item 568 is stuck",
                                  code(ExitCode::kItemStuck));
  run.launch().incident(Event::kRankEnded, Stage::kNone, "", code(ExitCode::kItemStuck) << 8, 1);
  rank0_loses_peer(run);
}

template <Event kEvent, Stage kStage>
void step_stuck(RunFolderBuilder& run) {
  begin_job(run);
  rank0_waits(run);
  main_in(run, 1, kEvent, kStage);
  leave(run, 1, ExitCode::kStepStuck, "deadline: the step is past 500 ms");
  rank0_loses_peer(run);
}
// No observation at all: the watches' beats tell that the process lives.
void forward_hangs_unobserved(RunFolderBuilder& run) {
  begin_job(run);
  rank0_waits(run);
  main_in(run, 1, Event::kForwardCalled, Stage::kForward);
  run.make_older(run.main(0), 60);
  run.make_older(run.main(1), 60);
  beat(run, 0);
  beat(run, 1);
}
void rank_falls_silent(RunFolderBuilder& run) {
  begin_job(run);
  rank0_waits(run);
  main_in(run, 1, Event::kForwardCalled, Stage::kForward);
  for (Writer* writer : {&run.main(0), &run.main(1), &run.loader_watch(1), &run.step_watch(1)}) {
    run.make_older(*writer, 60);
  }
  beat(run, 0);
}
void rank_killed(RunFolderBuilder& run) {
  begin_job(run);
  rank0_waits(run);
  main_in(run, 1, Event::kAllreduceStarted, Stage::kAllreduce);
  run.launch().incident(Event::kRankEnded, Stage::kNone, "", kSigKill, 1);
  observe_main(run, 0, Stage::kAllreduce, "state=gone cpu_ms=0");
  leave(run, 0, ExitCode::kPeerLost, "Connection reset by peer");
}
void rank_stopped(RunFolderBuilder& run) {
  begin_job(run);
  rank0_waits(run);
  main_in(run, 1, Event::kForwardCalled, Stage::kForward);
  observe_main(run, 0, Stage::kForward, "state=T wchan=do_signal_stop cpu_ms=3");
  rank0_loses_peer(run);
  run.launch().incident(Event::kRankEnded, Stage::kNone, "ended by launch", kSigKill, 1);
}
void rank_left(RunFolderBuilder& run) {
  begin_job(run);
  rank0_waits(run);
  main_in(run, 1, Event::kForwardCalled, Stage::kForward);
  run.launch().incident(Event::kRankEnded, Stage::kNone, "", kExited3, 1);
  rank0_loses_peer(run);
}
void main_threw(RunFolderBuilder& run) {
  begin_job(run);
  rank0_waits(run);
  main_in(run, 1, Event::kForwardCalled, Stage::kForward);
  run.main(1).incident(Event::kError, Stage::kForward, "bad shape\nwhere it was caught");
  leave(run, 1, ExitCode::kFailure, "bad shape");
  rank0_loses_peer(run);
}
// The last one is told first, by the clock.
void all_refuse(RunFolderBuilder& run) {
  for (int rank : {1, 0}) {
    Writer& main = run.main(rank);
    main.record(Event::kStarting, Stage::kSetup);
    main.incident(Event::kLoaderCreated, Stage::kSetup, "sampler=DistributedSampler");
    run.loader_watch(rank).record(Event::kBeat, Stage::kNone);
    main.incident(Event::kError, Stage::kSetup, "kept: cannot be made");
    main.record(Event::kAgreed, Stage::kStep);
    main.incident(Event::kEnding, Stage::kStep, "kept: cannot be made", code(ExitCode::kUsage));
    run.launch().incident(Event::kRankEnded, Stage::kNone, "", code(ExitCode::kUsage) << 8, rank);
  }
}
void all_wait(RunFolderBuilder& run) {
  begin_job(run);
  rank0_waits(run);
  main_in(run, 1, Event::kAllreduceStarted, Stage::kAllreduce);
  run.make_older(run.main(0), 60);
  run.make_older(run.main(1), 60);
  beat(run, 0);
  beat(run, 1);
}
void agree_on_shards(RunFolderBuilder& run) {
  begin_job(run);
  for (int rank : {0, 1}) {
    run.main(rank).incident_at(
        {0, -1, -1}, Event::kAgreementText, Stage::kAgree,
        "rank=" + std::to_string(rank) + " batches=" + (rank == 1 ? "71" : "72"));
  }
}
void shards_uneven(RunFolderBuilder& run) {
  agree_on_shards(run);
  for (int rank : {0, 1}) {
    run.main(rank).incident_at({0, -1, -1}, Event::kDisagreement, Stage::kAgree,
                               "kind=shards_uneven rank=1 batches=71 others=72");
    leave(run, rank, ExitCode::kRanksDisagree, "the ranks disagree");
  }
}
void shards_padded(RunFolderBuilder& run) {
  agree_on_shards(run);
  run.main(1).incident_at({0, -1, -1}, Event::kPadded, Stage::kAgree, "", 1);
  finish(run, 0);
}
void shards_joined(RunFolderBuilder& run) {
  agree_on_shards(run);
  run.main(1).incident_at({0, -1, -1}, Event::kJoined, Stage::kAgree, "kind=shards_uneven", 71);
  beat(run, 0);
}
void stream_ran_dry(RunFolderBuilder& run) {
  begin_job(run);
  run.main(1).incident_at({0, 71, -1}, Event::kJoined, Stage::kAgree, "it had promised more", 71);
  beat(run, 1);
}
void ranks_disagree(RunFolderBuilder& run) {
  begin_job(run);
  for (int rank : {0, 1}) {
    run.main(rank).incident_at({0, -1, -1}, Event::kDisagreement, Stage::kAgree,
                               "kind=config_digest rank=1 mine=aa theirs=bb");
    leave(run, rank, ExitCode::kRanksDisagree, "the ranks disagree");
  }
}
void shards_identical(RunFolderBuilder& run) {
  agree_on_shards(run);
  for (int rank : {0, 1}) {
    run.main(rank).incident_at({0, -1, -1}, Event::kDisagreement, Stage::kAgree,
                               "kind=shards_identical rank=-1 ranks=1");
    leave(run, rank, ExitCode::kRanksDisagree, "the ranks disagree");
  }
}
void budget_spent(RunFolderBuilder& run) {
  begin_job(run);
  for (int rank : {0, 1}) {
    main_in(run, rank, Event::kAgreeing, Stage::kAgree);
    run.main(rank).incident(Event::kLost, Stage::kAgree, "budget 101 dummy items over all ranks");
  }
  for (int rank : {0, 1}) leave(run, rank, ExitCode::kErrorBudgetSpent, "101 dummies, 100 allowed");
}
void zygote_lost(RunFolderBuilder& run) {
  begin_job(run);
  main_in(run, 1, Event::kFetching, Stage::kFetch);
  run.loader_watch(1).incident_at(kStep, Event::kLost, Stage::kFetch, "zygote: killed by signal 9");
  leave(run, 1, ExitCode::kZygoteLost, "the zygote is lost");
  rank0_waits(run);
  rank0_loses_peer(run);
}
// The other worker has died as well, but not yet so often.
void crash_loop(RunFolderBuilder& run) {
  begin_job(run);
  main_in(run, 1, Event::kFetching, Stage::kFetch);
  const auto dies = [&run](int64_t index, int worker, int generation) {
    const trace::Place place{0, 71, index};
    const int64_t who = worker * 65536 + generation;
    run.loader_watch(1).incident_at(place, Event::kWorkerExited, Stage::kFeaturize, "", 9, who);
    run.loader_watch(1).incident_at(place, Event::kDummy, Stage::kFeaturize,
                                    "reason=worker_lost worker_since_epoch=0 file=/a.wav why=lost",
                                    9, who);
  };
  for (int generation = 0; generation < 4; ++generation) dies(568 + generation, 0, generation);
  dies(572, 1, 0);
  run.loader_watch(1).incident_at({0, 71, 571}, Event::kLost, Stage::kFeaturize,
                                  "crash loop: deaths_in_a_row=4,1", 9, 3);
  for (int rank : {0, 1}) leave(run, rank, ExitCode::kCrashLoop, "worker 0 died 4 times in a row");
}
void workers_starved(RunFolderBuilder& run) {
  begin_job(run);
  main_in(run, 1, Event::kFetching, Stage::kFetch);
  run.loader_watch(1).incident_at(kStep, Event::kLost, Stage::kFetch, "slots: all 64 are kept");
  leave(run, 1, ExitCode::kItemStuck, "no slot is free");
  rank0_waits(run);
  rank0_loses_peer(run);
}
void tracing_reduced(RunFolderBuilder& run) {
  begin_job(run);
  for (int rank : {0, 1}) {
    run.main(rank).incident_at({}, Event::kTracingReduced, Stage::kSetup,
                               "trace file of 708 KiB refused: No space left on device");
    run.main(rank).incident(Event::kDone, Stage::kShutdown);
  }
}
void non_finite_loss(RunFolderBuilder& run) {
  begin_job(run);
  main_in(run, 0, Event::kForwardDone, Stage::kLoss);
  main_in(run, 1, Event::kForwardDone, Stage::kLoss);
  run.main(1).record(Event::kLossDone, Stage::kStep,
                     std::bit_cast<int64_t>(std::numeric_limits<double>::quiet_NaN()));
  for (int rank : {0, 1}) leave(run, rank, ExitCode::kNonFiniteLoss, "the loss is NaN");
}
void clean(RunFolderBuilder& run) {
  begin_job(run);
  work_on_item(run, Stage::kFeaturize);
  run.worker(1, 0).record(Event::kItemDone, Stage::kQueueWait, 26);
  finish(run, 0);
}
void in_progress(RunFolderBuilder& run) {
  begin_job(run);
  work_on_item(run, Stage::kFeaturize);
  main_in(run, 1, Event::kFetching, Stage::kFetch);
  rank0_waits(run);
}
void rank_missing(RunFolderBuilder& run) {
  run.main(0).record(Event::kStarting, Stage::kSetup);
  run.make_older(run.main(0), 60);
  run.step_watch(0).incident_at({}, Event::kSymptom, Stage::kSetup, "nobody listens", 0);
  run.step_watch(0).incident_at({}, Event::kEnding, Stage::kShutdown, "nobody listens",
                                code(ExitCode::kPeerLost));
}
// Ctrl-C while one rank worked and the other waited for it.
void interrupted(RunFolderBuilder& run) {
  begin_job(run);
  main_in(run, 1, Event::kForwardCalled, Stage::kForward);
  rank0_waits(run);
  for (int rank : {0, 1}) leave(run, rank, ExitCode::kInterrupted, "interrupted");
}
// Observed once because it was old, and finished all the same.
void merely_slow(RunFolderBuilder& run) {
  begin_job(run);
  work_on_item(run, Stage::kFeaturize);
  observe_worker(run, Stage::kFeaturize, "state=R cpu_ms=6000");
  run.worker(1, 0).record(Event::kItemDone, Stage::kQueueWait, 26);
  main_in(run, 1, Event::kForwardCalled, Stage::kForward);
  observe_main(run, 1, Stage::kForward, "state=R cpu_ms=6000");
  main_in(run, 1, Event::kAllreduceStarted, Stage::kAllreduce);
  beat(run, 1);
}

Verdict of_rank(Kind kind, int rank, int32_t batch, Stage stage, bool sure = true) {
  Verdict verdict;
  verdict.kind = kind;
  verdict.rank = rank;
  verdict.epoch = 0;
  verdict.batch = batch;
  verdict.stage = stage;
  verdict.sure = sure;
  return verdict;
}
Verdict stuck_item(Kind kind, Stage stage, int worker, bool sure) {
  Verdict verdict = of_rank(kind, 1, 71, stage, sure);
  verdict.worker = worker;
  verdict.index = 568;
  verdict.file = "/corpus/a b.wav";
  return verdict;
}
Verdict recovered(Verdict verdict) {
  verdict.recovered = true;
  return verdict;
}

Verdict evened_out() { return recovered(of_rank(Kind::kShardsUneven, 1, -1, Stage::kAgree)); }
Verdict dried_up() { return recovered(of_rank(Kind::kShardsUneven, 1, 71, Stage::kAgree)); }
Verdict idle_worker(Kind kind) {
  Verdict verdict = recovered(of_rank(kind, 1, 71, Stage::kQueueWait));
  verdict.worker = 0;
  return verdict;
}
Verdict of_small_traces() {
  Verdict verdict = recovered(of_rank(Kind::kTracingReduced, -1, -1, Stage::kSetup));
  verdict.epoch = -1;
  return verdict;
}
Verdict of_worker_loop() {
  Verdict verdict = of_rank(Kind::kCrashLoop, 1, 71, Stage::kFeaturize);
  verdict.worker = 0;
  return verdict;
}
Verdict item(Kind kind, Stage stage) { return recovered(stuck_item(kind, stage, 0, true)); }
Verdict of_noise(Verdict verdict) {
  verdict.stage = Stage::kNoiseMix;
  verdict.file = "/noise/c d.wav";
  return verdict;
}
Verdict of_all(const std::string& why) {
  Verdict verdict = of_rank(Kind::kRankExited, 0, -1, Stage::kSetup);
  verdict.epoch = -1;
  verdict.what = "as did all others: " + why;
  return verdict;
}
Verdict in_epoch(int32_t epoch, Verdict verdict) {
  verdict.epoch = epoch;
  return verdict;
}

Verdict before_epochs(Verdict verdict) {
  verdict.epoch = -1;
  return verdict;
}

constexpr Stage kRead = Stage::kAudioRead;
constexpr Stage kFeaturize = Stage::kFeaturize;

}  // namespace

const std::vector<Scenario>& scenarios() {
  static const std::vector<Scenario> kScenarios{
      {"Clean", clean, Verdict{}},
      {"InProgress", in_progress, Verdict{}},
      {"MerelySlow", merely_slow, Verdict{}},
      {"Interrupted", interrupted, Verdict{}},
      {"RankMissing", rank_missing,
       before_epochs(of_rank(Kind::kRankMissing, 1, -1, Stage::kSetup))},
      {"AudioMissing", bad_audio<1>, item(Kind::kAudioMissing, kRead)},
      {"AudioUnreadable", bad_audio<2>, item(Kind::kAudioUnreadable, kRead)},
      {"AudioTruncated", bad_audio<3>, item(Kind::kAudioTruncated, kRead)},
      {"AudioWrongFormat", bad_audio<4>, item(Kind::kAudioWrongFormat, kRead)},
      {"AudioNotFinite", bad_audio<5>, item(Kind::kAudioNotFinite, kRead)},
      {"ItemThrew", bad_audio<6>, item(Kind::kItemThrew, kFeaturize)},
      {"StateLeftBehind", state_left_behind, in_epoch(1, item(Kind::kStateLeftBehind, kFeaturize))},
      {"TooLong", bad_audio<7>, item(Kind::kAudioWrongFormat, kRead)},
      {"ReadBlocked", read_blocked, item(Kind::kReadBlocked, Stage::kAudioOpen)},
      {"ReadUnkillable", read_unkillable, item(Kind::kReadUnkillable, kRead)},
      {"FeaturizerLoops", featurizer_loops, item(Kind::kFeaturizerStuck, kFeaturize)},
      {"WorkerDeadlocked", worker_deadlocked, item(Kind::kWorkerDeadlocked, kFeaturize)},
      {"WorkerStopped", worker_stopped, item(Kind::kWorkerStopped, kFeaturize)},
      {"WorkerKilled", worker_gone<kSigKill>, item(Kind::kWorkerKilled, kRead)},
      {"WorkerExited", worker_gone<kExited3>, item(Kind::kWorkerExited, kRead)},
      {"IdleWorkerStopped", idle_worker_stopped, idle_worker(Kind::kWorkerStopped)},
      {"IdleWorkerKilled", idle_worker_killed, idle_worker(Kind::kWorkerKilled)},
      {"KilledTooLate", killed_too_late, Verdict{}},
      {"FeaturizerHangsForGood", featurizer_hangs_for_good,
       stuck_item(Kind::kFeaturizerStuck, kFeaturize, 0, true)},
      {"NobodyLookedAtTheWorker", nobody_looked_at_the_worker,
       stuck_item(Kind::kItemStuck, kFeaturize, 0, false)},
      {"MainBlockedInItsOwnRead", main_blocked_in_its_own_read,
       stuck_item(Kind::kReadBlocked, Stage::kAudioOpen, -1, true)},
      {"NoiseUnreadable", noise_unreadable, of_noise(item(Kind::kAudioUnreadable, kRead))},
      {"NoiseBlocked", noise_blocked, of_noise(item(Kind::kReadBlocked, kRead))},
      {"MainBlockedInNoise", main_blocked_in_noise,
       of_noise(stuck_item(Kind::kReadBlocked, kRead, -1, true))},
      {"ForwardStuck", step_stuck<Event::kForwardCalled, Stage::kForward>,
       of_rank(Kind::kForwardStuck, 1, 71, Stage::kForward)},
      {"LossStuck", step_stuck<Event::kForwardDone, Stage::kLoss>,
       of_rank(Kind::kLossStuck, 1, 71, Stage::kLoss)},
      {"BackwardStuck", step_stuck<Event::kBackwardCalled, Stage::kBackward>,
       of_rank(Kind::kBackwardStuck, 1, 71, Stage::kBackward)},
      {"OptimizerStuck", step_stuck<Event::kOptimizerCalled, Stage::kOptimizer>,
       of_rank(Kind::kRankStuck, 1, 71, Stage::kOptimizer)},
      {"ForwardHangsUnobserved", forward_hangs_unobserved,
       of_rank(Kind::kForwardStuck, 1, 71, Stage::kForward, false)},
      {"RankFallsSilent", rank_falls_silent,
       of_rank(Kind::kRankStuck, 1, 71, Stage::kForward, false)},
      {"RankKilled", rank_killed, of_rank(Kind::kRankKilled, 1, 71, Stage::kAllreduce)},
      {"RankStopped", rank_stopped, of_rank(Kind::kRankStopped, 1, 71, Stage::kForward)},
      {"RankLeft", rank_left, of_rank(Kind::kRankExited, 1, 71, Stage::kForward)},
      {"MainThrew", main_threw, of_rank(Kind::kRankExited, 1, 71, Stage::kForward)},
      {"AllRefuse", all_refuse, of_all("kept: cannot be made")},
      {"AllWait", all_wait, of_rank(Kind::kCollectiveStuck, -1, 71, Stage::kAllreduce, false)},
      {"ShardsUneven", shards_uneven, of_rank(Kind::kShardsUneven, 1, -1, Stage::kAgree)},
      {"ShardsPadded", shards_padded, evened_out()},
      {"ShardsJoined", shards_joined, evened_out()},
      {"StreamRanDry", stream_ran_dry, dried_up()},
      {"RanksDisagree", ranks_disagree, of_rank(Kind::kRanksDisagree, 1, -1, Stage::kAgree)},
      {"ShardsIdentical", shards_identical, of_rank(Kind::kShardsIdentical, -1, -1, Stage::kAgree)},
      {"BudgetSpent", budget_spent, of_rank(Kind::kErrorBudgetSpent, -1, 71, Stage::kAgree)},
      {"ZygoteLost", zygote_lost, of_rank(Kind::kZygoteLost, 1, 71, Stage::kFetch)},
      {"CrashLoop", crash_loop, of_worker_loop()},
      {"WorkersStarved", workers_starved, of_rank(Kind::kWorkersStarved, 1, 71, Stage::kFetch)},
      {"TracingReduced", tracing_reduced, of_small_traces()},
      {"NonFiniteLoss", non_finite_loss, of_rank(Kind::kNonFiniteLoss, 1, 71, Stage::kLoss)},
  };
  return kScenarios;
}

}  // namespace batch71::diagnose
