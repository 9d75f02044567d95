// What a run is held against, in the words of a test's sentence. A mismatch names the command that
// replays the case and the folder that it left.
#pragma once

#include <gmock/gmock.h>

#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

#include "fixtures/judge.h"
#include "fixtures/pool.h"

namespace batch71::fixtures {

inline void PrintTo(const CaseResult& result, std::ostream* out) {  // NOLINT: GoogleTest's name
  *out << "the run of: " << replay(result.run.scenario)
       << "\n  which left: " << (result.kept_folder.empty() ? "nothing" : result.kept_folder);
}

}  // namespace batch71::fixtures

namespace batch71::suites {

inline bool is_content(const std::string& complaint, testing::MatchResultListener* listener) {
  *listener << complaint;
  return complaint.empty();
}

// The fault struck, once; or nothing did, where nothing should.
MATCHER(StruckAsPlanned, "") {
  return is_content(fixtures::complaint_of_strikes(arg.run), result_listener);
}
// All ranks ended as they must, and the strike was detected within the guard's bound.
MATCHER(EndsWithin, "") { return is_content(fixtures::complaint_of_end(arg.run), result_listener); }
// The cause is of this kind, at this place.
MATCHER_P2(Names, kind, where, "") {
  return is_content(fixtures::complaint_of_verdict(arg.run, kind, where), result_listener);
}
// All ranks print the same verdict, the one that `batch71 diagnose` finds.
MATCHER(TellsTheSameOnEveryRank, "") {
  return is_content(fixtures::complaint_of_words(arg.run), result_listener);
}
// Exactly these samples are dummies; every other one of the plan arrived once, bit for bit.
MATCHER_P(LosesExactly, lost, "") {
  return is_content(fixtures::complaint_of_loss(arg.run, lost), result_listener);
}
MATCHER(LeavesNothingBehind, "") {
  return is_content(fixtures::complaint_of_leftovers(arg.run), result_listener);
}
// No fault is named in the run folder, from which the verdict came.
MATCHER(BetraysNothing, "") {
  return is_content(fixtures::complaint_of_betrayal(arg.run), result_listener);
}
// Without guards it does what the catalogue says.
MATCHER(ShowsThatTheFaultIsReal, "") {
  return is_content(fixtures::complaint_of_control(arg.run), result_listener);
}

}  // namespace batch71::suites
