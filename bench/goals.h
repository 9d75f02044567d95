// Body of a bench program's main: runs benchmarks, prints ratios and figures of one run beside their goals.
//
// A ratio survives a noisy machine, a time does not: so the short repetitions of all benchmarks are mixed
// at random. Noise only slows down, so a ratio is between the fastest ones; but between medians where
// a benchmark's own waits count. Goals are told, never judged: the exit code is 0
// unless a benchmark could not do its work (SkipWithError).
#pragma once

#include <benchmark/benchmark.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace batch71::bench {

struct Ratio {
  std::string of;  // benchmark name
  std::string to;  // the one it is held against
  enum class Kind { kFastestTimes, kFastestSpeeds, kMedianTimes } kind = Kind::kFastestTimes;
  double goal = 0;  // of times: at most; of speeds: at least; 0: none, the ratio is only told
};

// A counter of a benchmark: the worst of its repetitions, that is the largest.
struct Figure {
  std::string of;       // benchmark name
  std::string counter;  // its name ends in its unit
  double goal = -1;     // at most; below 0: none
};

struct Goals {
  std::vector<Ratio> ratios;
  std::vector<Figure> figures;
};

// Prints one row a benchmark, the median where it was repeated, in the order in which they were
// registered, once all have run.
class GoalReporter : public benchmark::ConsoleReporter {
 public:
  GoalReporter();  // colours only on a terminal
  void ReportRuns(const std::vector<Run>& runs) override;
  void Finalize() override;
  // One line a ratio or figure; says so where it was not measured.
  void print(const Goals& goals) const;
  bool has_failed() const { return has_failed_; }

 private:
  void print(const Ratio& ratio) const;
  void print(const Figure& figure) const;

  std::map<std::pair<int64_t, int64_t>, std::vector<Run>> runs_;  // by family and instance
  std::map<std::string, std::vector<double>> times_s_;            // of one iteration, by benchmark
  std::map<std::pair<std::string, std::string>, double> worst_;   // by benchmark and counter
  bool has_failed_ = false;
};

int run_benchmarks(int argc, char** argv, const Goals& goals);

}  // namespace batch71::bench
