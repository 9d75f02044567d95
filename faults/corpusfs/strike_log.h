// The strike log: when something struck, whom, and where; the judge's only clock for strikes.
//
// One JSON object a line, each written in one O_APPEND write *before* the effect:
//   {"state":"struck","monotonic_ns":..,"pid":17,"path":"a.wav","op":"read","action":"block"}
// pid: of the struck process, as seen in this pid namespace; -1 where it is not known.
#pragma once

#include <string>
#include <string_view>

#include "launch/fd.h"

namespace batch71::faults {

class StrikeLog {
 public:
  // Throws UsageError if the file cannot be written. Thread-safe.
  explicit StrikeLog(const std::string& path);
  void struck(int pid, const std::string& path, std::string_view op, std::string_view action) const;

 private:
  launch::UniqueFd fd_;
};

}  // namespace batch71::faults
