// `batch71 diagnose` and `batch71 log`: from a folder's name to standard output.
//
// Both return the program's exit code and throw UsageError where the folder is no run folder, or one of
// which nothing can be read.
#pragma once

#include <string>

#include "diagnose/log.h"

namespace batch71::diagnose {

// `folder`: a path or "latest". Exit code 0, whatever the verdict: that is in the output.
int diagnose_command(const std::string& folder, bool json, bool colour);
int log_command(const std::string& folder, const LogFilters& filters);

}  // namespace batch71::diagnose
