// The sweep: throw, hang, kill and block visit every stage that a strike can reach, at every position of
// a small job. A name is a case: --gtest_filter='*Sweep*NAME' runs it again.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <deque>
#include <iterator>

#include "faults/fault.h"
#include "fixtures/run.h"
#include "fixtures/split_mix.h"
#include "suites/case_book.h"
#include "suites/expectations.h"

namespace batch71::suites {
namespace {

using faults::Fault;
using faults::Injection;
using faults::Site;
using faults::Target;
using faults::UserDeed;
using fixtures::Topology;

// As corpusfs/rules.h calls them.
constexpr char kOpen[] = "open";
constexpr char kRead[] = "read";
constexpr char kFail[] = "fail";
constexpr char kBlock[] = "block";
constexpr char kBlockDeaf[] = "block_deaf";
constexpr char kKillReader[] = "kill_reader";

template <const char* kOp, const char* kAction>
Injection serves(const Site& site) {
  return serve_corpus(site, kOp, kAction);
}
template <UserDeed kDeed>
Injection featurizes(const Site& site) {
  return featurizer_does(site, kDeed);
}
template <UserDeed kDeed>
Injection goes_forward(const Site& site) {
  return forward_does(site, kDeed);
}
template <UserDeed kDeed>
Injection takes_loss(const Site& site) {
  return loss_does(site, kDeed);
}
template <UserDeed kDeed>
Injection goes_backward(const Site& site) {
  return backward_does(site, kDeed);
}

// One way of going wrong in all stages of its kind: judged as a fault of the catalogue is.
struct Deed {
  const char* name;
  const char* like;     // that fault, but for
  const char* verdict;  // nullptr: its own
  Injection (*inject)(const Site& site);
};
struct Stage {
  const char* name;
  faults::Needs needs;
  std::vector<Deed> deeds;
};

template <const char* kOp>
std::vector<Deed> deeds_of_files() {
  return {{"throw", "wav_truncated_header", "audio_unreadable", serves<kOp, kFail>},
          {"hang", "worker_unkillable", nullptr, serves<kOp, kBlockDeaf>},
          {"kill", "worker_sigkill", nullptr, serves<kOp, kKillReader>},
          {"block", "fuse_read_hang", nullptr, serves<kOp, kBlock>}};
}

std::vector<Stage> stages() {
  return {{"audio_open", {.fuse = true}, deeds_of_files<kOpen>()},
          {"audio_read", {.fuse = true}, deeds_of_files<kRead>()},
          {"noise_mix", {.fuse = true, .noise = true}, deeds_of_files<kRead>()},
          {"featurize",
           {.hooks = true},
           {{"throw", "featurizer_throw", nullptr, featurizes<UserDeed::kThrow>},
            {"hang", "featurizer_hang", nullptr, featurizes<UserDeed::kSpin>},
            {"kill", "worker_sigkill", nullptr, featurizes<UserDeed::kEndProcess>},
            {"block", "featurizer_hang", nullptr, featurizes<UserDeed::kWaitForEver>}}},
          {"forward",
           {.hooks = true},
           {{"throw", "rank_sigkill", "rank_exited", goes_forward<UserDeed::kThrow>},
            {"hang", "forward_hang", nullptr, goes_forward<UserDeed::kSpin>},
            {"kill", "rank_sigkill", nullptr, goes_forward<UserDeed::kEndProcess>},
            {"block", "forward_hang", nullptr, goes_forward<UserDeed::kWaitForEver>}}},
          {"loss",
           {.hooks = true},
           {{"throw", "rank_sigkill", "rank_exited", takes_loss<UserDeed::kThrow>},
            {"hang", "loss_hang", nullptr, takes_loss<UserDeed::kSpin>},
            {"kill", "rank_sigkill", nullptr, takes_loss<UserDeed::kEndProcess>},
            {"block", "loss_hang", nullptr, takes_loss<UserDeed::kWaitForEver>}}},
          {"backward",
           {.hooks = true},
           {{"throw", "rank_sigkill", "rank_exited", goes_backward<UserDeed::kThrow>},
            {"hang", "loss_hang", "backward_stuck", goes_backward<UserDeed::kSpin>},
            {"kill", "rank_sigkill", nullptr, goes_backward<UserDeed::kEndProcess>},
            {"block", "loss_hang", "backward_stuck", goes_backward<UserDeed::kWaitForEver>}}}};
}

// Not of the catalogue; each strikes once.
const Fault& variant(const Stage& stage, const Deed& deed) {
  static std::deque<Fault> all;  // scenarios point to them
  Fault& fault = all.emplace_back(faults::find_fault(deed.like));
  fault.name = fmt::format("{}_{}", stage.name, deed.name);
  if (deed.verdict != nullptr) fault.verdict = deed.verdict;
  fault.stages = {stage.name};
  fault.is_lasting = false;
  fault.needs = stage.needs;
  fault.inject = deed.inject;
  return fault;
}

struct Position {
  const char* name;
  int32_t epoch;
  int64_t batch;
};
constexpr int64_t kBatches = 6;
constexpr int kEpochs = 2;
constexpr Position kPositions[] = {{"first_batch", 0, 0},  // before the first all-reduce
                                   {"middle", 0, kBatches / 2},
                                   {"last_batch", 0, kBatches - 1},
                                   {"last_of_all", kEpochs - 1, kBatches - 1}};

// What else is to vary is drawn by hash; each stage and deed meets the first and the last sample.
NamedCase case_at(const Fault& fault, const Position& position, uint64_t number) {
  const uint64_t bits = fixtures::split_mix(number);
  Topology topology{.world_size = 2, .num_workers = 1 + static_cast<int>(bits & 1)};
  // Of so many samples one has noise that no other one draws in this epoch.
  topology.batch_size = fault.needs.noise ? 16 : 4;
  topology.shuffle = (bits & 2) != 0;
  topology.num_batches = kBatches;
  topology.num_epochs = kEpochs;
  topology.persistent_workers = (bits & 4) != 0;
  faults::Where where{.rank = (bits & 8) != 0, .epoch = position.epoch, .batch = position.batch};
  std::string name = fmt::format("{}_{}", fault.name, position.name);
  if (fault.target == Target::kItem && !fault.needs.noise) {
    const bool is_last = ((number ^ (number / std::size(kPositions))) & 1) != 0;
    const auto batch = shape_of(topology).indices_of(where.rank, where.epoch, where.batch);
    where.index = is_last ? batch.back() : batch.front();
    name += is_last ? "_last_sample" : "_first_sample";
  }
  return {name, fixtures::Given(topology).Inject(fault, where).scenario()};
}

Cases all_stages_and_positions() {
  Cases cases;
  for (const Stage& stage : stages()) {
    for (const Deed& deed : stage.deeds) {
      const Fault& fault = variant(stage, deed);
      for (const Position& position : kPositions) {
        cases.push_back(case_at(fault, position, cases.size()));
      }
    }
  }
  return cases;
}

class Sweep : public CaseTest {};
TEST_P(Sweep, IsLocatedOrRecoveredInTime) { expect_all(result()); }
INSTANTIATE_TEST_SUITE_P(Small, Sweep, testing::ValuesIn(book("Sweep", all_stages_and_positions())),
                         NameOfCase{});

}  // namespace
}  // namespace batch71::suites
