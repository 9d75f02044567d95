// Merges timelines and prints what passes the filters.
#include "diagnose/log.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <ctime>

#include "diagnose/facts.h"
#include "trace/errors.h"

namespace batch71::diagnose {
namespace {

using trace::Entry;
using trace::Timeline;

struct Line {
  const Timeline* from;
  const Entry* entry;
};

bool passes(const LogFilters& filters, const Timeline& timeline, const Entry& entry) {
  const auto& ranks = filters.ranks;
  // What launch says of a rank belongs to that rank.
  const int64_t rank =
      timeline.writer.role == trace::Role::kLaunch ? entry.arg1 : timeline.writer.rank;
  if (!ranks.empty() && std::find(ranks.begin(), ranks.end(), rank) == ranks.end()) return false;
  if (filters.batches && !filters.batches->holds(entry.batch)) return false;
  return !filters.indices || filters.indices->holds(entry.index);
}

std::vector<Line> merged(const trace::RunTrace& run, const LogFilters& filters) {
  std::vector<Line> lines;
  for (const Timeline& timeline : run.timelines) {
    for (const auto* list : {&timeline.hot, &timeline.incidents}) {
      for (const Entry& entry : *list) {
        if (passes(filters, timeline, entry)) lines.push_back({&timeline, &entry});
      }
    }
  }
  // Stable: what one thread wrote in the same instant stays in its order.
  std::stable_sort(lines.begin(), lines.end(), [](const Line& a, const Line& b) {
    return a.entry->monotonic_ns < b.entry->monotonic_ns;
  });
  return lines;
}

std::string time_of_day(const Line& line) {
  const uint64_t real_ns = line.entry->monotonic_ns + line.from->realtime_minus_monotonic_ns;
  const auto seconds = static_cast<time_t>(real_ns / 1'000'000'000);
  tm local{};
  localtime_r(&seconds, &local);
  return fmt::format("{:02}:{:02}:{:02}.{:06} ", local.tm_hour, local.tm_min, local.tm_sec,
                     real_ns % 1'000'000'000 / 1000);
}

bool put(std::FILE* out, const std::string& line) {
  return std::fwrite(line.data(), 1, line.size(), out) == line.size();
}

// Watches write little but beats, which nobody misses.
bool is_worth_telling(const Timeline& timeline, const LogFilters& filters) {
  const trace::Role role = timeline.writer.role;
  const bool is_watch = role == trace::Role::kLoaderWatch || role == trace::Role::kStepWatch;
  const auto& ranks = filters.ranks;
  const bool is_wanted =
      ranks.empty() || std::count(ranks.begin(), ranks.end(), timeline.writer.rank) > 0;
  return timeline.hot_lost > 0 && !is_watch && is_wanted;
}

bool put_losses(const trace::RunTrace& run, const LogFilters& filters, std::FILE* out) {
  for (const Timeline& timeline : run.timelines) {
    if (!is_worth_telling(timeline, filters)) continue;
    if (!put(out, fmt::format("({}: {} older records are overwritten)\n", source(timeline),
                              timeline.hot_lost))) {
      return false;
    }
  }
  return true;
}

int64_t parse_end(const std::string& all, std::string_view digits) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || end != digits.data() + digits.size() || value < 0) {
    throw UsageError("'" + all + "' is no range; write it as 71 or 560-580");
  }
  return value;
}

}  // namespace

Range parse_range(const std::string& text) {
  const size_t dash = text.find('-');
  if (dash == std::string::npos) {
    const int64_t only = parse_end(text, text);
    return {only, only};
  }
  const std::string_view view(text);
  const Range range{parse_end(text, view.substr(0, dash)), parse_end(text, view.substr(dash + 1))};
  if (range.first > range.last) {
    throw UsageError("'" + text + "' is a range from the larger to the smaller; turn it round");
  }
  return range;
}

void print_log(const trace::RunTrace& run, const LogFilters& filters, std::FILE* out) {
  if (!put_losses(run, filters, out)) return;
  for (const Line& line : merged(run, filters)) {
    const std::string words = log_line(line.from->writer, *line.entry);
    if (words.empty()) continue;
    if (!put(out, (filters.with_time ? time_of_day(line) : "") + words + "\n")) return;
  }
  std::fflush(out);
}

}  // namespace batch71::diagnose
