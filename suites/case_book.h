// The cases of a test program: all that will be tested run at once, and each test awaits its own.
//
// A plain run of a suite mostly waits for deadlines; so the cases of all chosen tests go to one pool
// before the first test begins. A case is known by the name of its test's parameter.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "fixtures/pool.h"
#include "fixtures/scenario.h"

namespace batch71::suites {

struct NamedCase {
  std::string name;
  fixtures::Scenario scenario;
};
void PrintTo(const NamedCase& named,
             std::ostream* out);  // NOLINT: the name that GoogleTest looks for

using Cases = std::vector<NamedCase>;

// For INSTANTIATE_TEST_SUITE_P: takes note of the cases of `suite` ("EveryFault") and gives them back.
Cases book(const std::string& suite, Cases cases);
struct NameOfCase {
  std::string operator()(const testing::TestParamInfo<NamedCase>& info) const {
    return info.param.name;
  }
};

// The base of every suite of cases.
class CaseTest : public testing::TestWithParam<NamedCase> {
 protected:
  // Waits for the case of this test. Skips the test where the case was skipped.
  void SetUp() override;
  const fixtures::CaseResult& result() const { return *result_; }
  const fixtures::Run& run() const { return result_->run; }

 private:
  const fixtures::CaseResult* result_ = nullptr;
};

// Where random places come from: printed once, and set by BATCH71_SEED.
uint32_t seed();
// A place of the topology that is drawn from the seed and `salt`.
faults::Where random_place(const fixtures::Topology& topology, const std::string& salt);

}  // namespace batch71::suites
