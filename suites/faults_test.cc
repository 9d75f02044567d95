// Every fault of the catalogue, in real jobs: located or recovered in time, and shown to be real.
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>

#include "faults/fault.h"
#include "fixtures/judge.h"
#include "launch/cell.h"
#include "suites/case_book.h"
#include "suites/expectations.h"
#include "suites/pairwise.h"

namespace batch71::suites {
namespace {

using fixtures::Given;
using fixtures::Scenario;
using fixtures::Topology;

// --- The original topology: four ranks, two workers, batch size 8, shuffled, batch 71 ---

Cases every_fault_in_batch_71() {
  Cases cases;
  for (const faults::Fault& fault : faults::catalogue()) {
    cases.push_back(
        {fault.name, Given(Topology{}).Inject(fault, {.rank = 1, .batch = 71}).scenario()});
  }
  return cases;
}

class EveryFault : public CaseTest {};
TEST_P(EveryFault, IsLocatedOrRecoveredInTime) { expect_all(result()); }
INSTANTIATE_TEST_SUITE_P(Original, EveryFault,
                         testing::ValuesIn(book("EveryFault", every_fault_in_batch_71())),
                         NameOfCase{});

// What a machine does not allow is skipped; here it is asked in another way what it allows.
TEST(Machine, IsNotSaidToLackWhatItHas) {
  const pid_t child = fork();
  if (child == 0) _exit(unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC));
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  const bool has_cells = geteuid() == 0 && status == 0;
  const bool has_fuse = has_cells && access("/dev/fuse", R_OK | W_OK) == 0;
  const launch::CellSupport support = launch::cell_support();
  EXPECT_EQ(support.missing.empty(), has_cells) << support.missing;
  EXPECT_EQ(support.missing_fuse.empty(), has_fuse) << support.missing_fuse;
}

// --- The same on a loader without guards ---

Cases every_control() {
  Cases cases = every_fault_in_batch_71();
  const Topology no_workers{2, 0, 4, true, 12};
  for (const char* fault : {"wav_truncated_header", "wav_truncated_data", "featurizer_hang"}) {
    const faults::Fault& found = faults::find_fault(fault);
    cases.push_back({found.name + "_without_workers",
                     Given(no_workers).Inject(found, {.rank = 1, .batch = 5}).scenario()});
  }
  for (NamedCase& named : cases) named.scenario = as_control(named.scenario);
  return cases;
}

class EveryControl : public CaseTest {};
TEST_P(EveryControl, ShowsThatTheFaultIsReal) {
  EXPECT_THAT(result(), StruckAsPlanned());
  EXPECT_THAT(result(), ShowsThatTheFaultIsReal());
}
INSTANTIATE_TEST_SUITE_P(Original, EveryControl,
                         testing::ValuesIn(book("EveryControl", every_control())), NameOfCase{});

// --- Short jobs of all shapes, one fault of each kind, at a place that is drawn anew ---

constexpr const char* kOneOfEachKind[] = {"wav_truncated_data", "fuse_read_hang", "featurizer_hang",
                                          "forward_hang", "rank_sigkill"};

Topology short_topology(int world_size, int num_workers, bool fresh, bool shuffle, size_t uneven) {
  Topology topology{world_size, num_workers, 4, shuffle, 8, 2, !fresh};
  topology.uneven = static_cast<fixtures::Uneven>(uneven);
  return topology;
}

constexpr int kWorldSizes[] = {1, 2, 4};
constexpr int kWorkers[] = {0, 1, 2};
constexpr size_t kUnevenPolicies = 4;

// Each two of world size, workers, persistent or not, shuffled or not, and uneven policy.
std::vector<Topology> short_topologies() {
  std::vector<Topology> all;
  for (const PairRow& row : pairwise({3, 3, 2, 2, kUnevenPolicies})) {
    all.push_back(
        short_topology(kWorldSizes[row[0]], kWorkers[row[1]], row[2] == 1, row[3] == 1, row[4]));
  }
  return all;
}

std::string test_name(const Topology& topology) {
  std::string text = fixtures::name(topology);
  std::replace(text.begin(), text.end(), '.', '_');
  return text;
}

// Each fault at each world size with each number of workers; each of these nine, and each fault, in
// either order, with either life of workers, and under each uneven policy.
Cases one_of_each_kind_everywhere() {
  Cases cases;
  for (const PairRow& row : pairwise({9, std::size(kOneOfEachKind), 2, 2, kUnevenPolicies})) {
    const Topology topology = short_topology(kWorldSizes[row[0] / 3], kWorkers[row[0] % 3],
                                             row[2] == 1, row[3] == 1, row[4]);
    const faults::Fault& fault = faults::find_fault(kOneOfEachKind[row[1]]);
    const std::string name = fault.name + "_" + test_name(topology);
    faults::Where where = random_place(topology, name);
    if (!fault.is_lasting) where.epoch = static_cast<int32_t>((row[2] + row[3]) % 2);
    cases.push_back({name, Given(topology).Inject(fault, where).scenario()});
  }
  return cases;
}

class EveryTopology : public CaseTest {};
TEST_P(EveryTopology, IsLocatedOrRecoveredInTime) { expect_all(result()); }
INSTANTIATE_TEST_SUITE_P(Short, EveryTopology,
                         testing::ValuesIn(book("EveryTopology", one_of_each_kind_everywhere())),
                         NameOfCase{});

// --- Jobs of several epochs, and of buckets: a strike in the last epoch ---

std::vector<Topology> other_topologies() {
  return {{2, 2, 4, true, 12, 2, true},
          {2, 2, 4, true, 12, 2, false},
          {4, 1, 4, false, 6, 3, false},
          {1, 0, 4, true, 12, 2, true},
          {4, 2, 4, true, 12, 2, true, true},
          {2, 1, 8, false, 9, 1, true, true},
          {2, 2, 4, true, 12, 2, true, false, true}};
}

Cases strikes_in_the_last_epoch() {
  Cases cases;
  for (const Topology& topology : other_topologies()) {
    for (const char* fault : kOneOfEachKind) {
      const faults::Fault& found = faults::find_fault(fault);
      const std::string name = std::string(fault) + "_" + test_name(topology);
      faults::Where where = random_place(topology, name);
      if (!found.is_lasting) where.epoch = topology.num_epochs - 1;
      cases.push_back({name, Given(topology).Inject(found, where).scenario()});
    }
  }
  return cases;
}

class EveryEpoch : public CaseTest {};
TEST_P(EveryEpoch, IsLocatedOrRecoveredInTime) { expect_all(result()); }
INSTANTIATE_TEST_SUITE_P(Last, EveryEpoch,
                         testing::ValuesIn(book("EveryEpoch", strikes_in_the_last_epoch())),
                         NameOfCase{});

// --- Bad noise: every sample that draws it is lost, and the noise file is named ---

Cases struck_noise() {
  Cases cases;
  for (const Topology& topology : {Topology{2, 0, 4, false, 12}, Topology{2, 1, 4, true, 12, 3},
                                   Topology{4, 2, 4, true, 12, 2, false, true}}) {
    for (const faults::Fault& fault : faults::catalogue()) {
      if (!fault.needs.noise) continue;
      const std::string name = fault.name + "_" + test_name(topology);
      cases.push_back(
          {name, Given(topology).Inject(fault, random_place(topology, name)).scenario()});
    }
  }
  return cases;
}

class EveryNoise : public CaseTest {};
TEST_P(EveryNoise, IsLocatedOrRecoveredInTime) { expect_all(result()); }
INSTANTIATE_TEST_SUITE_P(Bad, EveryNoise, testing::ValuesIn(book("EveryNoise", struck_noise())),
                         NameOfCase{});

// --- The canary: a wrong expectation, for the harness to see that it is reported as failed ---

class DISABLED_Canary : public CaseTest {};
TEST_P(DISABLED_Canary, MustBeReportedAsFailed) {
  EXPECT_THAT(result(), Names("rank_killed", faults::Where{.rank = 1}));
}
INSTANTIATE_TEST_SUITE_P(Clean, DISABLED_Canary,
                         testing::ValuesIn(book("DISABLED_Canary",
                                                {{"nothing",
                                                  Given(Topology{2, 1, 4, false, 6}).scenario()}})),
                         NameOfCase{});

// --- The remedy that a verdict names: with it nothing strikes ---

Cases every_remedy() {
  const Topology fresh{2, 2, 4, true, 12, 2, false};
  Cases cases;
  for (const faults::Fault& fault : faults::catalogue()) {
    if (!fault.spares_fresh_workers) continue;
    const Scenario scenario = Given(fresh).Inject(fault, {.rank = 1, .batch = 5}).scenario();
    cases.push_back({fault.name + "_reference", scenario});
    cases.push_back({fault.name + "_naive", as_control(scenario)});
  }
  return cases;
}

class EveryRemedy : public CaseTest {};
TEST_P(EveryRemedy, Helps) {
  EXPECT_THAT(result(), StruckAsPlanned());
  if (run().scenario.is_control) {
    EXPECT_THAT(result(), ShowsThatTheFaultIsReal());
  } else {
    expect_all(result());
  }
}
INSTANTIATE_TEST_SUITE_P(FreshWorkers, EveryRemedy,
                         testing::ValuesIn(book("EveryRemedy", every_remedy())), NameOfCase{});

// --- Nothing wrong: no alarm, nothing lost ---

// Not of the catalogue: one sample takes half of what its guard allows.
faults::Fault merely_slow() {
  faults::Fault slow;
  slow.name = "merely_slow";
  slow.target = faults::Target::kItem;
  slow.verdict = "nothing_wrong";
  slow.loses = faults::Loss::kNothing;
  slow.inject = [](const faults::Site& site) {
    return featurizer_does(site, faults::UserDeed::kTakeLong);
  };
  return slow;
}

Cases nothing_wrong() {
  static const faults::Fault kSlow = merely_slow();
  Topology uneven{3, 1, 4, false, 8};
  uneven.uneven = fixtures::Uneven::kJoin;
  Cases cases{
      {"original", Given(Topology{}).scenario()},
      {"merely_slow", Given(Topology{}).Inject(kSlow, {.rank = 1, .batch = 71}).scenario()},
      {"merely_slow_join", Given(uneven).Inject(kSlow, {.rank = 1, .batch = 3}).scenario()}};
  for (const Topology& topology : short_topologies()) {
    cases.push_back({test_name(topology), Given(topology).scenario()});
  }
  for (const Topology& topology : other_topologies()) {
    cases.push_back({test_name(topology), Given(topology).scenario()});
  }
  return cases;
}

class NothingWrong : public CaseTest {};
TEST_P(NothingWrong, RaisesNoAlarmAndLosesNothing) { expect_all(result()); }
INSTANTIATE_TEST_SUITE_P(Jobs, NothingWrong,
                         testing::ValuesIn(book("NothingWrong", nothing_wrong())), NameOfCase{});

}  // namespace
}  // namespace batch71::suites
