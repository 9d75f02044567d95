// From the start of four ranks with two workers each to the first batch of the last of them, beside
// four programs that only load libtorch (load_libtorch_main.cc): what a job costs before it works.
//
// Both are exec'd, in the same way and with the same environment (launch/ranks.h), at once. The time
// runs from before the first exec until the last of the four has
//   start_to_first_batch  its first batch: kFetched in the trace of its training thread
//   load_libtorch         come back from its call into libtorch: a stamp that it prints
// The ranks are the reference subject on clips of 0.25 s. loaded_s, met_s and agreed_s say when the last rank had its
// libraries and its config, its peers, and their consent to the first epoch.
#include "bench/goals.h"
#include "bench/start_times.h"

namespace batch71::bench {
namespace {

void load_libtorch(benchmark::State& state) {
  for (auto _ : state) {
    const TemporaryFolder folder(kTraceParent);
    launch::RanksSpec spec;
    spec.argv = {launch::sibling_program("load-libtorch")};
    spec.world_size = kRanksToStart;
    spec.output_folder = folder.path();
    const uint64_t start_ns = run_to_the_end(spec);
    const double loaded_s = last_printed_s(spec, "", start_ns);
    if (start_ns == 0 || loaded_s == 0) return state.SkipWithError("libtorch did not load");
    state.SetIterationTime(loaded_s);
  }
}

}  // namespace
}  // namespace batch71::bench

int main(int argc, char** argv) {
  using namespace batch71::bench;
  const Clips clips(256, 0.25);
  const auto add = [](const char* name, auto function) {
    benchmark::RegisterBenchmark(name, function)
        ->Unit(benchmark::kMillisecond)
        ->UseManualTime()
        ->Iterations(1);
  };
  add("load_libtorch", load_libtorch);
  add("start_to_first_batch",
      [&clips](benchmark::State& state) { reference_to_first_batch(state, clips); });
  return run_benchmarks(
      argc, argv,
      {{{"start_to_first_batch", "load_libtorch", Ratio::Kind::kMedianTimes, 1.3}}, {}});
}
