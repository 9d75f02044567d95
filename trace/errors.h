// The error that a user can mend: a bad command line, config, manifest or trace folder.
#pragma once

#include <stdexcept>
#include <string>

namespace batch71 {

// One clear line: what is wrong, where (file:line), and the remedy. Programs print it after
// "error: " and end with ExitCode::kUsage before anything is started.
class UsageError : public std::runtime_error {
 public:
  explicit UsageError(const std::string& line) : std::runtime_error(line) {}
};

}  // namespace batch71
