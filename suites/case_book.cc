// The cases of a test program.
#include "suites/case_book.h"

#include <errno.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <ostream>
#include <random>

#include "faults/fault.h"

namespace batch71::suites {
namespace {

using fixtures::CaseResult;

// All cases that were noted, and those that run.
struct Book {
  std::map<std::string, fixtures::Scenario> scenarios;  // by "suite/case"
  std::map<std::string, std::shared_future<CaseResult>> results;
  std::unique_ptr<fixtures::CasePool> pool;
};
Book& the_book() {
  static Book book;
  return book;
}

// "Original/EveryFault", "IsLocated/wav_nan" -> "EveryFault/wav_nan"
std::string key_of(const std::string& suite, const std::string& test) {
  return suite.substr(suite.find('/') + 1) + test.substr(test.find('/'));
}

bool is_known_to_the_gate(const fixtures::Scenario& scenario) {
  if (!scenario.plan) return true;
  const std::vector<faults::Fault>& known = faults::catalogue();
  return std::any_of(known.begin(), known.end(),
                     [&](const faults::Fault& fault) { return &fault == scenario.plan->fault; });
}

// Starts what will be tested, in the order of the tests.
class StartOfCases : public testing::Environment {
  void SetUp() override {
    Book& book = the_book();
    fmt::print("random places are drawn from BATCH71_SEED={}\n", seed());
    book.pool = std::make_unique<fixtures::CasePool>();
    const testing::UnitTest& program = *testing::UnitTest::GetInstance();
    for (int s = 0; s < program.total_test_suite_count(); ++s) {
      const testing::TestSuite& suite = *program.GetTestSuite(s);
      for (int t = 0; t < suite.total_test_count(); ++t) {
        const testing::TestInfo& test = *suite.GetTestInfo(t);
        if (!test.should_run() || test.value_param() == nullptr) continue;
        const std::string key = key_of(suite.name(), test.name());
        const auto scenario = book.scenarios.find(key);
        if (scenario == book.scenarios.end() || book.results.contains(key)) continue;
        book.results[key] = book.pool->submit(scenario->second);
      }
    }
  }
  void TearDown() override { the_book().pool.reset(); }
};

[[maybe_unused]] const auto* const kStart =
    testing::AddGlobalTestEnvironment(std::make_unique<StartOfCases>().release());

}  // namespace

void PrintTo(const NamedCase& named, std::ostream* out) {
  *out << fixtures::replay(named.scenario);
}

Cases book(const std::string& suite, Cases cases) {
  for (NamedCase& named : cases) {
    if (!is_known_to_the_gate(named.scenario)) {
      named.scenario.again = fmt::format("{} --gtest_filter='*/{}.*/{}'",
                                         program_invocation_short_name, suite, named.name);
    }
    the_book().scenarios.emplace(suite + "/" + named.name, named.scenario);
  }
  return cases;
}

void CaseTest::SetUp() {
  const testing::TestInfo& test = *testing::UnitTest::GetInstance()->current_test_info();
  result_ = &the_book().results.at(key_of(test.test_suite_name(), test.name())).get();
  if (!run().skipped.empty()) GTEST_SKIP() << run().skipped;
}

uint32_t seed() {
  static const uint32_t kSeed = [] {
    const char* given = std::getenv("BATCH71_SEED");
    return given != nullptr ? static_cast<uint32_t>(std::strtoul(given, nullptr, 10))
                            : std::random_device{}();
  }();
  return kSeed;
}

faults::Where random_place(const fixtures::Topology& topology, const std::string& salt) {
  std::mt19937 random(seed() ^ static_cast<uint32_t>(std::hash<std::string>{}(salt)));
  faults::Where where;
  where.rank = static_cast<int>(random() % static_cast<uint32_t>(topology.world_size));
  where.batch = random() % static_cast<uint32_t>(batches_of(topology, where.rank));
  return where;
}

}  // namespace batch71::suites
