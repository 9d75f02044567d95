// From the start of four ranks with two workers each to the first batch of the last of them, beside
// four programs that only load libtorch (load_libtorch_main.cc): what a job costs before it works.
//
// Both are exec'd, in the same way and with the same environment (launch/ranks.h), at once. The time
// runs from before the first exec until the last of the four has
//   start_to_first_batch  its first batch: kFetched in the trace of its training thread
//   load_libtorch         come back from its call into libtorch: a stamp that it prints
// The ranks are the reference subject on clips of 0.25 s. loaded_s, met_s and agreed_s say when the last rank had its
// libraries and its config, its peers, and their consent to the first epoch.
#include <algorithm>
#include <fstream>
#include <vector>

#include "bench/goals.h"
#include "bench/reference_ranks.h"
#include "bench/trace_stamps.h"
#include "trace/clock.h"

namespace batch71::bench {
namespace {

constexpr int kRanks = 4;
constexpr int kPatienceMs = 60'000;

// Starts them and waits for their end. When that began; 0 if one did not end well.
uint64_t run_to_the_end(launch::RanksSpec spec) {
  spec.deadline_ms = kPatienceMs;
  const uint64_t start_ns = trace::monotonic_ns();
  launch::Ranks ranks(std::move(spec));
  while (ranks.step(kPatienceMs)) continue;
  const auto& ends = ranks.ends();
  const bool all_well = std::all_of(ends.begin(), ends.end(),
                                    [](const launch::RankEnd& end) { return end.exit_code == 0; });
  return all_well ? start_ns : 0;
}

// Seconds from the start until the last rank wrote its first such record; 0 if one has none.
double last_of_ranks(const std::string& run_folder, trace::Event event, uint64_t start_ns) {
  uint64_t last_ns = start_ns;
  for (int rank = 0; rank < kRanks; ++rank) {
    const uint64_t when_ns =
        first_since(run_folder, {trace::Role::kMain, rank, kRanks}, event, start_ns);
    if (when_ns == 0) return 0;
    last_ns = std::max(last_ns, when_ns);
  }
  return static_cast<double>(last_ns - start_ns) / 1e9;
}

void start_to_first_batch(benchmark::State& state, const Clips& clips) {
  double loaded_s = 0;
  double met_s = 0;
  double agreed_s = 0;
  for (auto _ : state) {
    const TemporaryFolder folder(kTraceParent);
    const uint64_t start_ns =
        run_to_the_end(reference_ranks(folder.path(), clips, {kRanks, 2, "", "max_steps: 1"}));
    const double fetched_s = last_of_ranks(folder.path(), trace::Event::kFetched, start_ns);
    if (start_ns == 0 || fetched_s == 0) return state.SkipWithError("a rank had no batch");
    state.SetIterationTime(fetched_s);
    loaded_s = last_of_ranks(folder.path(), trace::Event::kSettings, start_ns);
    met_s = last_of_ranks(folder.path(), trace::Event::kAgreementText, start_ns);
    agreed_s = last_of_ranks(folder.path(), trace::Event::kAgreed, start_ns);
  }
  state.counters["loaded_s"] = loaded_s;
  state.counters["met_s"] = met_s;
  state.counters["agreed_s"] = agreed_s;
}

void load_libtorch(benchmark::State& state) {
  for (auto _ : state) {
    const TemporaryFolder folder(kTraceParent);
    launch::RanksSpec spec;
    spec.argv = {launch::sibling_program("load-libtorch")};
    spec.world_size = kRanks;
    spec.output_folder = folder.path();
    const uint64_t start_ns = run_to_the_end(std::move(spec));
    uint64_t last_ns = 0;
    for (int rank = 0; rank < kRanks; ++rank) {
      uint64_t stamp_ns = 0;
      std::ifstream(folder.path() + "/rank" + std::to_string(rank) + ".log") >> stamp_ns;
      last_ns = std::max(last_ns, stamp_ns);
    }
    if (start_ns == 0 || last_ns <= start_ns) return state.SkipWithError("libtorch did not load");
    state.SetIterationTime(static_cast<double>(last_ns - start_ns) / 1e9);
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
      [&clips](benchmark::State& state) { start_to_first_batch(state, clips); });
  return run_benchmarks(
      argc, argv,
      {{{"start_to_first_batch", "load_libtorch", Ratio::Kind::kMedianTimes, 1.3}}, {}});
}
