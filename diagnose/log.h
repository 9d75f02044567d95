// All timelines of a run merged in time order, in the words of the guide that this project began with.
//
// "[Rank 1] __getitem__(568) called", "[Rank 1] Batch 71 calling forward...", one line an event;
// further lines of a text (a stack) are indented. Watches' beats are left out.
#pragma once

#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "trace/reader.h"

namespace batch71::diagnose {

// Both ends belong to it.
struct Range {
  int64_t first = 0;
  int64_t last = 0;
  bool holds(int64_t value) const { return first <= value && value <= last; }
};
// "71" or "560-580"; UsageError with the remedy for anything else.
Range parse_range(const std::string& text);

// What passes all of them is printed; empty: everything does.
struct LogFilters {
  std::vector<int> ranks;
  std::optional<Range> batches;
  std::optional<Range> indices;
  bool with_time = true;
};

// The line of one event, without time and without newline; "" for what is not printed.
std::string log_line(const trace::WriterId& writer, const trace::Entry& entry);
// Stops without a word when `out` takes no more (a closed pipe).
void print_log(const trace::RunTrace& run, const LogFilters& filters, std::FILE* out);

}  // namespace batch71::diagnose
