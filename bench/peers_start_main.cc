// From the start of four ranks with two workers each to the first batch of the last of them: the
// reference, and PyTorch's DistributedDataParallel with its DataLoader (subjects/pytorch/rank.py).
//
// Both are exec'd in the same way with the same environment and the same config, on clips of 0.25 s. Python
// has its modules compiled: a start goes before. loaded_s and met_s say when the last rank had its libraries, and
// when it had its peers.
#include "bench/goals.h"
#include "bench/pytorch_support.h"
#include "bench/reference_ranks.h"
#include "bench/start_times.h"
#include "bench/temporary_folder.h"
#include "launch/process.h"

namespace batch71::bench {
namespace {

void pytorch_to_first_batch(benchmark::State& state, const Clips& clips) {
  for (auto _ : state) {
    const TemporaryFolder folder(kTraceParent);
    launch::RanksSpec spec =
        reference_ranks(folder.path(), clips, {kRanksToStart, 2, "", "max_steps: 1"});
    spec.argv = {launch::sibling_program("batch71-pytorch")};
    const uint64_t start_ns = run_to_the_end(spec);
    const auto last_s = [&](const char* word) { return last_printed_s(spec, word, start_ns); };
    const double first_batch_s = last_s("first_batch");
    if (start_ns == 0 || first_batch_s == 0) return state.SkipWithError("a rank had no batch");
    state.SetIterationTime(first_batch_s);
    state.counters["loaded_s"] = last_s("loaded");
    state.counters["met_s"] = last_s("met");
  }
}

}  // namespace
}  // namespace batch71::bench

int main(int argc, char** argv) {
  using namespace batch71::bench;
  if (!pytorch_is_there()) return kSkipped;
  const Clips clips(256, 0.25);
  const auto add = [&clips](const char* name, auto function) {
    benchmark::RegisterBenchmark(
        name, [&clips, function](benchmark::State& state) { function(state, clips); })
        ->Unit(benchmark::kMillisecond)
        ->UseManualTime()
        ->Iterations(1);
  };
  add("reference_to_first_batch", reference_to_first_batch);
  add("pytorch_to_first_batch", pytorch_to_first_batch);
  return run_benchmarks(
      argc, argv,
      {{{"reference_to_first_batch", "pytorch_to_first_batch", Ratio::Kind::kMedianTimes}}, {}});
}
