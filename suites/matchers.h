// What a run is held against, in the words of a test's sentence.
#pragma once

#include <gmock/gmock.h>

#include <set>
#include <string>

#include "fixtures/run.h"

namespace batch71::suites {

// All ranks ended by themselves, each with this code.
MATCHER_P(EveryRankEndsWith, code, "") {
  for (const launch::RankEnd& end : arg.ends) {
    if (end.exit_code == code && !end.ended_by_us) continue;
    *result_listener << "rank " << end.rank << " ended with code " << end.exit_code << ", signal "
                     << end.signal << "; it said:\n"
                     << arg.outputs[static_cast<size_t>(end.rank)];
    return false;
  }
  return arg.ended_in_time;
}

// The first verdict is of this kind, at this rank, batch and index.
MATCHER_P2(Names, kind, where, "") {
  const nlohmann::json& verdicts = arg.diagnosis["verdicts"];
  if (!verdicts.is_array() || verdicts.empty()) {
    *result_listener << "no verdict in " << arg.diagnosis.dump();
    return false;
  }
  const nlohmann::json& first = verdicts[0];
  *result_listener << first.dump(2);
  return first["kind"] == kind && first["rank"] == where.rank && first["batch"] == where.batch &&
         first["index"] == where.index;
}

// Exactly these samples are dummies; every other one of the plan arrived once, bit for bit.
MATCHER_P2(LosesExactly, lost, topology, "") {
  std::multiset<int64_t> arrived;
  std::multiset<int64_t> dummies;
  for (const nlohmann::json& line : arg.ledger) {
    if (line.contains("done")) continue;
    const auto indices = line["indices"].template get<std::vector<int64_t>>();
    const auto gone = line["dummies"].template get<std::set<int64_t>>();
    dummies.insert(gone.begin(), gone.end());
    for (size_t i = 0; i < indices.size(); ++i) {
      arrived.insert(indices[i]);
      if (gone.contains(indices[i])) continue;
      if (line["checksums"][i] != fixtures::checksum_of_clip(indices[i])) {
        *result_listener << "sample " << indices[i] << " arrived changed: " << line["checksums"][i];
        return false;
      }
    }
  }
  std::multiset<int64_t> planned;
  for (int64_t index = 0; index < topology.num_clips(); ++index) planned.insert(index);
  if (arrived != planned) {
    *result_listener << arrived.size() << " samples arrived, " << planned.size() << " were planned";
    return false;
  }
  *result_listener << "dummies: " << ::testing::PrintToString(dummies);
  return dummies == std::multiset<int64_t>(lost.begin(), lost.end());
}

}  // namespace batch71::suites
