// How fast a rank notices that its peer stands still.
//
// Two ranks of the reference subject on generated clips of 0.25 s, one worker each. Once both have trained for a few
// batches rank 1 gets SIGSTOP, so rank 0 waits for it in its next collective. Time: from just before the signal
// until rank 0 writes the symptom into its trace; late_ms: what of that is beyond collective_deadline_ms.
// One iteration is one job.
#include <signal.h>

#include "bench/goals.h"
#include "bench/reference_ranks.h"
#include "bench/trace_stamps.h"
#include "trace/clock.h"
#include "trace/exit_code.h"
#include "trace/peek.h"

namespace batch71::bench {
namespace {

constexpr int kDeadlineMs = 1'000;  // far above what a collective takes, on a busy machine too
constexpr int kPatienceMs = 60'000;
constexpr int kLookMs = 5;
constexpr int kBatches = 5;

// True once that rank's training thread was seen in batch `kBatches` of an epoch or later.
bool is_training(const std::string& run_folder, int rank, launch::Ranks& ranks) {
  trace::Peek main(run_folder + "/" + trace::file_name({trace::Role::kMain, rank, 2}));
  const uint64_t until_ns = launch::deadline_after_ms(kPatienceMs);
  while (trace::monotonic_ns() < until_ns && ranks.step(kLookMs)) {
    if (!main.refresh()) continue;
    const auto newest = main.newest();
    if (newest && newest->batch >= kBatches) return true;
  }
  return false;
}

void stopped_peer(benchmark::State& state, const Clips& clips) {
  for (auto _ : state) {
    const TemporaryFolder folder(kTraceParent);
    const std::string guards =
        "collective_deadline_ms: " + std::to_string(kDeadlineMs) + ", verdict_grace_ms: 100";
    launch::RanksSpec spec =
        reference_ranks(folder.path(), clips, {2, 1, guards, "max_epochs: 1000000"});
    spec.deadline_ms = 2 * kPatienceMs;
    launch::Ranks ranks(std::move(spec));
    if (!is_training(folder.path(), 0, ranks) || !is_training(folder.path(), 1, ranks)) {
      return state.SkipWithError("the ranks do not train");
    }
    const uint64_t stopped_ns = trace::monotonic_ns();
    kill(ranks.ends()[1].pid, SIGSTOP);
    while (ranks.step(kPatienceMs)) continue;
    const uint64_t seen_ns = first_since(folder.path(), {trace::Role::kStepWatch, 0, 2},
                                         trace::Event::kSymptom, stopped_ns);
    if (ranks.ends()[0].exit_code != static_cast<int>(ExitCode::kPeerLost) || seen_ns == 0) {
      return state.SkipWithError("rank 0 did not notice");
    }
    const double ms = static_cast<double>(seen_ns - stopped_ns) / 1e6;
    state.SetIterationTime(ms / 1e3);
    state.counters["late_ms"] = ms - kDeadlineMs;
  }
}

}  // namespace
}  // namespace batch71::bench

int main(int argc, char** argv) {
  using namespace batch71::bench;
  const Clips clips(256, 0.25);
  benchmark::RegisterBenchmark("stopped_peer",
                               [&clips](benchmark::State& state) { stopped_peer(state, clips); })
      ->Unit(benchmark::kMillisecond)
      ->UseManualTime()
      ->Iterations(1);
  return run_benchmarks(argc, argv, {{}, {{"stopped_peer", "late_ms", 250}}});
}
