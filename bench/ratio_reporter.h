// Prints ratios of benchmarks of one run beside their goals: a ratio survives a noisy machine, a
// time does not.
#pragma once

#include <benchmark/benchmark.h>

#include <map>
#include <string>
#include <vector>

namespace batch71::bench {

struct Ratio {
  std::string of;         // benchmark name
  std::string to;         // the one it is held against
  double goal = 0;        // 0: none, the ratio is only told
  bool at_least = false;  // goal is a floor (throughput) instead of a ceiling (cost)
};

// A console reporter that remembers the fastest repetition of each benchmark.
class RatioReporter : public benchmark::ConsoleReporter {
 public:
  RatioReporter();  // colours only on a terminal
  void ReportRuns(const std::vector<Run>& runs) override;
  // One line a ratio of the fastest repetitions; says so where one of the two did not run.
  void print(const std::vector<Ratio>& ratios) const;

 private:
  std::map<std::string, double> fastest_ns_;  // wall time of one iteration
};

// Body of a bench program's main: runs what the command line selects, then prints the ratios.
int run_benchmarks(int argc, char** argv, const std::vector<Ratio>& ratios);

}  // namespace batch71::bench
