// Runs ranks and reads what they left.
#include "bench/start_times.h"

#include <algorithm>
#include <fstream>
#include <functional>
#include <utility>

#include "bench/reference_ranks.h"
#include "bench/temporary_folder.h"
#include "bench/trace_stamps.h"
#include "trace/clock.h"

namespace batch71::bench {
namespace {

constexpr int kPatienceMs = 60'000;

// `stamp_of` a rank, the last of all; 0 if one has none.
double last_s(int world_size, uint64_t start_ns, const std::function<uint64_t(int)>& stamp_of) {
  uint64_t last_ns = start_ns;
  for (int rank = 0; rank < world_size; ++rank) {
    const uint64_t when_ns = stamp_of(rank);
    if (when_ns <= start_ns) return 0;
    last_ns = std::max(last_ns, when_ns);
  }
  return static_cast<double>(last_ns - start_ns) / 1e9;
}

}  // namespace

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

double last_traced_s(const launch::RanksSpec& spec, trace::Event event, uint64_t start_ns) {
  return last_s(spec.world_size, start_ns, [&](int rank) {
    return first_since(spec.run_folder, {trace::Role::kMain, rank, spec.world_size}, event,
                       start_ns);
  });
}

double last_printed_s(const launch::RanksSpec& spec, const std::string& word, uint64_t start_ns) {
  return last_s(spec.world_size, start_ns, [&](int rank) {
    std::ifstream log(spec.output_folder + "/rank" + std::to_string(rank) + ".log");
    for (std::string before = word; !word.empty() && log >> before;) {
      if (before == word) break;
    }
    uint64_t stamp_ns = 0;
    return log >> stamp_ns ? stamp_ns : 0;
  });
}

void reference_to_first_batch(benchmark::State& state, const Clips& clips) {
  for (auto _ : state) {
    const TemporaryFolder folder(kTraceParent);
    const launch::RanksSpec spec =
        reference_ranks(folder.path(), clips, {kRanksToStart, 2, "", "max_steps: 1"});
    const uint64_t start_ns = run_to_the_end(spec);
    const auto last_s = [&](trace::Event event) { return last_traced_s(spec, event, start_ns); };
    const double fetched_s = last_s(trace::Event::kFetched);
    if (start_ns == 0 || fetched_s == 0) return state.SkipWithError("a rank had no batch");
    state.SetIterationTime(fetched_s);
    state.counters["loaded_s"] = last_s(trace::Event::kSettings);
    state.counters["met_s"] = last_s(trace::Event::kAgreementText);
    state.counters["agreed_s"] = last_s(trace::Event::kAgreed);
  }
}

}  // namespace batch71::bench
