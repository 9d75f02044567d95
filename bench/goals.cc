// Remembers the repetitions of one run and holds them against goals.
#include "bench/goals.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <iterator>

namespace batch71::bench {
namespace {

void print_goal(const char* bound, double goal, bool met) {
  std::printf(" (goal: at %s %g, %s)\n", bound, goal, met ? "met" : "missed");
}

double fastest(const std::vector<double>& times) {
  return *std::min_element(times.begin(), times.end());
}

double median(std::vector<double> times) {
  const auto middle = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2);
  std::nth_element(times.begin(), middle, times.end());
  return *middle;
}

}  // namespace

GoalReporter::GoalReporter()
    : ConsoleReporter(isatty(STDOUT_FILENO) != 0 ? OO_ColorTabular : OO_Tabular) {}

void GoalReporter::ReportRuns(const std::vector<Run>& runs) {
  for (const Run& run : runs) {
    runs_[{run.family_index, run.per_family_instance_index}].push_back(run);
    if (run.error_occurred) has_failed_ = true;
    if (run.run_type != Run::RT_Iteration || run.error_occurred) continue;
    const std::string& name = run.run_name.function_name;
    times_s_[name].push_back(run.real_accumulated_time / static_cast<double>(run.iterations));
    for (const auto& [counter, value] : run.counters) {
      const auto worst = worst_.emplace(std::pair(name, counter), value.value).first;
      worst->second = std::max(worst->second, value.value);
    }
  }
}

void GoalReporter::Finalize() {
  std::vector<Run> shown;
  for (const auto& [place, runs] : runs_) {
    for (Run run : runs) {
      if (!run.error_occurred && runs.size() > 1 && run.aggregate_name != "median") continue;
      benchmark::BenchmarkName name;  // without how it was run
      name.function_name = run.run_name.function_name;
      run.run_name = name;
      shown.push_back(std::move(run));
    }
  }
  name_field_width_ = 0;
  for (const Run& run : shown) {
    name_field_width_ = std::max(name_field_width_, run.benchmark_name().size());
  }
  ConsoleReporter::ReportRuns(shown);
}

void GoalReporter::print(const Ratio& ratio) const {
  const auto of = times_s_.find(ratio.of);
  const auto to = times_s_.find(ratio.to);
  std::printf("ratio %s / %s", ratio.of.c_str(), ratio.to.c_str());
  if (of == times_s_.end() || to == times_s_.end()) {
    std::printf(": not measured in this run\n");
    return;
  }
  const double quotient = ratio.kind == Ratio::Kind::kMedianTimes
                              ? median(of->second) / median(to->second)
                              : fastest(of->second) / fastest(to->second);
  const bool is_speed = ratio.kind == Ratio::Kind::kFastestSpeeds;
  const double value = is_speed ? 1 / quotient : quotient;
  std::printf(" = %.3f", value);
  if (ratio.goal <= 0) {
    std::printf("\n");
  } else {
    print_goal(is_speed ? "least" : "most", ratio.goal,
               is_speed ? value >= ratio.goal : value <= ratio.goal);
  }
}

void GoalReporter::print(const Figure& figure) const {
  const auto worst = worst_.find({figure.of, figure.counter});
  std::printf("figure %s %s", figure.of.c_str(), figure.counter.c_str());
  if (worst == worst_.end()) {
    std::printf(": not measured in this run\n");
    return;
  }
  std::printf(" = %.3f", worst->second);
  if (figure.goal < 0) {
    std::printf("\n");
  } else {
    print_goal("most", figure.goal, worst->second <= figure.goal);
  }
}

void GoalReporter::print(const Goals& goals) const {
  for (const Ratio& ratio : goals.ratios) print(ratio);
  for (const Figure& figure : goals.figures) print(figure);
}

int run_benchmarks(int argc, char** argv, const Goals& goals) {
  // The command line comes after them, and wins.
  std::string repetitions = "--benchmark_repetitions=15";
  std::string min_time_s = "--benchmark_min_time=0.1";
  std::string mixed = "--benchmark_enable_random_interleaving=true";
  std::vector<char*> args{argv[0], repetitions.data(), min_time_s.data(), mixed.data()};
  args.insert(args.end(), argv + 1, argv + argc);
  auto count = static_cast<int>(args.size());
  args.push_back(nullptr);
  benchmark::Initialize(&count, args.data());
  if (benchmark::ReportUnrecognizedArguments(count, args.data())) return 2;
  GoalReporter reporter;
  const size_t ran = benchmark::RunSpecifiedBenchmarks(&reporter);
  if (ran == 0) {
    std::fprintf(stderr, "error: no benchmark matches the filter\n");
    return 1;
  }
  reporter.print(goals);
  return reporter.has_failed() ? 1 : 0;
}

}  // namespace batch71::bench
