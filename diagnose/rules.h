// The rules: one small function per family of verdicts. Facts in, findings out; order in diagnose.cc.
#pragma once

#include <vector>

#include "diagnose/facts.h"
#include "diagnose/verdict.h"

namespace batch71::diagnose {

// item_rules.cc, state_rule.cc: samples.
std::vector<Verdict> bad_items(const RunFacts& facts);  // that became dummies
// A bad item with what its dummy says of its worker.
struct BadItem {
  Verdict verdict;
  int64_t worker_since_epoch = -1;
};
// Those of a rank told as one where they have one cause: state that an earlier epoch left in its workers.
std::vector<Verdict> with_state_left_behind(const std::vector<BadItem>& items);
std::vector<Verdict> stuck_items(const RunFacts& facts);    // observed, and never finished
std::vector<Verdict> lagging_items(const RunFacts& facts);  // not observed: whom main waits for

// worker_rule.cc
std::vector<Verdict> idle_workers(const RunFacts& facts);  // that went and cost no sample

// crash_loop_rule.cc
std::vector<Verdict> crash_loops(const RunFacts& facts);  // every replacement of a worker died
// They are one verdict's evidence.
void drop_deaths_of_loops(const RunFacts& facts, std::vector<Verdict>& verdicts);

// rank_rules.cc, leaver_rule.cc: ranks.
std::vector<Verdict> stuck_steps(const RunFacts& facts);  // forward, loss, backward, ...
std::vector<Verdict> stopped_ranks(const RunFacts& facts);
std::vector<Verdict> lost_ranks(const RunFacts& facts);  // killed or left
// Those of them that left for one reason before they trained, told as one.
std::vector<Verdict> with_leavers_told_as_one(const RunFacts& facts,
                                              const std::vector<Verdict>& lost);
std::vector<Verdict> missing_ranks(const RunFacts& facts);  // that never came
std::vector<Verdict> lagging_ranks(const RunFacts& facts);  // not observed: who holds up the others
std::vector<Verdict> blameless_wait(const RunFacts& facts);

// job_rules.cc: what the ranks said themselves.
std::vector<Verdict> disagreements(const RunFacts& facts);
std::vector<Verdict> losses(const RunFacts& facts);  // zygote, slots
std::vector<Verdict> reduced_traces(const RunFacts& facts);
std::vector<Verdict> policies(const RunFacts& facts);  // error budget, non-finite loss

}  // namespace batch71::diagnose
