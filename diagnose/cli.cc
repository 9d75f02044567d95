// The two commands.
#include "diagnose/cli.h"

#include <fmt/format.h>

#include <cstdio>

#include "diagnose/diagnose.h"
#include "diagnose/texts.h"
#include "trace/errors.h"
#include "trace/reader.h"

namespace batch71::diagnose {
namespace {

// "Nothing wrong" must not be said of a folder in which nothing could be read.
trace::RunTrace read_any(const std::string& folder) {
  trace::RunTrace run = trace::read_run(folder);
  if (!run.timelines.empty()) return run;
  throw UsageError(fmt::format("{}: none of the {} traces can be read: {}", run.folder,
                               run.problems.size(), as_one_line(run.problems.front())));
}

}  // namespace

int diagnose_command(const std::string& folder, bool json, bool colour) {
  const Diagnosis diagnosis = diagnose(read_any(folder));
  const std::string report = json ? to_json(diagnosis) : to_screen(diagnosis, colour);
  std::fwrite(report.data(), 1, report.size(), stdout);
  return 0;
}

int log_command(const std::string& folder, const LogFilters& filters) {
  print_log(read_any(folder), filters, stdout);
  return 0;
}

}  // namespace batch71::diagnose
