// Appends to the strike log.
#include "faults/corpusfs/strike_log.h"

#include <fcntl.h>

#include <cstring>
#include <nlohmann/json.hpp>

#include "trace/clock.h"
#include "trace/errors.h"

namespace batch71::faults {

StrikeLog::StrikeLog(const std::string& path)
    : fd_(open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644)) {
  if (!fd_) {
    throw UsageError(path + ": cannot be written: " + std::strerror(errno) +
                     "; name a file in a folder that exists");
  }
}

void StrikeLog::struck(int pid, const std::string& path, std::string_view op,
                       std::string_view action) const {
  const nlohmann::ordered_json entry{{"state", "struck"}, {"monotonic_ns", trace::monotonic_ns()},
                                     {"pid", pid},        {"path", path},
                                     {"op", op},          {"action", action}};
  const std::string line =
      entry.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
  (void)!write(fd_.get(), line.data(), line.size());
}

}  // namespace batch71::faults
