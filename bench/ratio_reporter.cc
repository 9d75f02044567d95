// Prints ratios of benchmarks of one run beside their goals.
#include "bench/ratio_reporter.h"

#include <unistd.h>

#include <cstdio>

namespace batch71::bench {

RatioReporter::RatioReporter()
    : ConsoleReporter(isatty(STDOUT_FILENO) != 0 ? OO_ColorTabular : OO_Tabular) {}

void RatioReporter::ReportRuns(const std::vector<Run>& runs) {
  for (const Run& run : runs) {
    if (run.run_type != Run::RT_Iteration || run.error_occurred) continue;
    const double ns = run.real_accumulated_time * 1e9 / static_cast<double>(run.iterations);
    const auto [entry, is_new] = fastest_ns_.emplace(run.run_name.function_name, ns);
    if (!is_new && ns < entry->second) entry->second = ns;
  }
  ConsoleReporter::ReportRuns(runs);
}

void RatioReporter::print(const std::vector<Ratio>& ratios) const {
  for (const Ratio& ratio : ratios) {
    const auto of = fastest_ns_.find(ratio.of);
    const auto to = fastest_ns_.find(ratio.to);
    if (of == fastest_ns_.end() || to == fastest_ns_.end()) {
      std::printf("ratio %s / %s: not measured in this run\n", ratio.of.c_str(), ratio.to.c_str());
      continue;
    }
    // Of a throughput, the ratio of the speeds: the inverse of that of the times.
    const double value = ratio.at_least ? to->second / of->second : of->second / to->second;
    std::printf("ratio %s / %s = %.3f", ratio.of.c_str(), ratio.to.c_str(), value);
    if (ratio.goal > 0) {
      const bool met = ratio.at_least ? value >= ratio.goal : value <= ratio.goal;
      std::printf(" (goal: at %s %.2f, %s)", ratio.at_least ? "least" : "most", ratio.goal,
                  met ? "met" : "missed");
    }
    std::printf("\n");
  }
}

int run_benchmarks(int argc, char** argv, const std::vector<Ratio>& ratios) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  RatioReporter reporter;
  const size_t ran = benchmark::RunSpecifiedBenchmarks(&reporter);
  if (ran == 0) {
    std::fprintf(stderr, "error: no benchmark matches the filter\n");
    return 1;
  }
  reporter.print(ratios);
  return 0;
}

}  // namespace batch71::bench
