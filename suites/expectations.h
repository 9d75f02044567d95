// What every case of a guarded subject is held against.
#pragma once

#include <gtest/gtest.h>

#include "fixtures/expected.h"
#include "suites/matchers.h"

namespace batch71::suites {

// Judged as the catalogue says.
inline void expect_all(const fixtures::CaseResult& result) {
  const fixtures::Expected expected = fixtures::expected_of(result.run);
  const faults::Where where = result.run.where.value_or(faults::Where{});
  EXPECT_THAT(result, StruckAsPlanned());
  EXPECT_THAT(result, EndsWithin());
  EXPECT_THAT(result, Names(expected.verdict, where));
  EXPECT_THAT(result, TellsTheSameOnEveryRank());
  EXPECT_THAT(result, LosesExactly(expected.lost));
  EXPECT_THAT(result, LeavesNothingBehind());
  EXPECT_THAT(result, BetraysNothing());
}

}  // namespace batch71::suites
