// The two commands.
#include "diagnose/cli.h"

#include <cstdio>

#include "diagnose/diagnose.h"
#include "trace/reader.h"

namespace batch71::diagnose {

int diagnose_command(const std::string& folder, bool json, bool colour) {
  const Diagnosis diagnosis = diagnose(trace::read_run(folder));
  const std::string report = json ? to_json(diagnosis) : to_screen(diagnosis, colour);
  std::fwrite(report.data(), 1, report.size(), stdout);
  return 0;
}

int log_command(const std::string& folder, const LogFilters& filters) {
  print_log(trace::read_run(folder), filters, stdout);
  return 0;
}

}  // namespace batch71::diagnose
