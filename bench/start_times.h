// How long after their start the last of several ranks was where.
#pragma once

#include <benchmark/benchmark.h>

#include <cstdint>
#include <string>

#include "bench/clips.h"
#include "launch/ranks.h"
#include "trace/event.h"

namespace batch71::bench {

// Starts them and waits for their end, a minute at most. When that began, CLOCK_MONOTONIC; 0 if one did
// not end well.
uint64_t run_to_the_end(launch::RanksSpec spec);

// Seconds from the start until the last rank had
//   written its first such record as training thread,
double last_traced_s(const launch::RanksSpec& spec, trace::Event event, uint64_t start_ns);
//   printed the stamp that comes first after that word ("": as the first word of all).
// 0 if one has none.
double last_printed_s(const launch::RanksSpec& spec, const std::string& word, uint64_t start_ns);

inline constexpr int kRanksToStart = 4;

// A benchmark with manual time: that many ranks of the reference with two workers each, to the first
// batch of the last of them. Counters loaded_s, met_s and agreed_s say when the last one had its libraries
// and its config, its peers, and their consent to the first epoch.
void reference_to_first_batch(benchmark::State& state, const Clips& clips);

}  // namespace batch71::bench
