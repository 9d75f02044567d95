// The batch71 command: which rank, worker, sample, file or stage - and would your CI have caught it?
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "cli/commands.h"
#include "loader/yaml_section.h"
#include "trace/errors.h"
#include "trace/exit_code.h"

namespace batch71::cli {
namespace {

std::string exit_codes() {
  std::string text = "Exit codes:\n";
  for (const ExitCodeText& entry : kExitCodes) {
    text += fmt::format("  {:>3}  {}\n", static_cast<int>(entry.code), entry.meaning);
  }
  return text;
}

// CLI11 says only that a subcommand is required, not which word was none.
void refuse_unknown_command(const CLI::App& app, int argc, char** argv) {
  if (argc < 2 || argv[1][0] == '-') return;
  std::vector<std::string> known;
  for (const CLI::App* command : app.get_subcommands({})) known.push_back(command->get_name());
  if (std::count(known.begin(), known.end(), argv[1]) > 0) return;
  throw UsageError(fmt::format("unknown command '{}'; the nearest known one is '{}' (--help)",
                               argv[1], loader::nearest(argv[1], known)));
}

int main_checked(int argc, char** argv) {
  CLI::App app{
      "batch71: fault injection, flight recorder and diagnosis for distributed (DDP) audio "
      "loaders.\nYour training stands still at batch 71: which rank, worker, sample, file, stage?",
      "batch71"};
  app.footer(exit_codes());
  app.set_version_flag("--version", BATCH71_VERSION);
  app.require_subcommand(1);
  int exit_code = 0;
  add_run(app, exit_code);
  add_diagnose(app, exit_code);
  add_log(app, exit_code);
  add_faults(app, exit_code);
  add_gate(app, exit_code);
  add_corpus(app, exit_code);
  refuse_unknown_command(app, argc, argv);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& help) {
    return app.exit(help);
  } catch (const CLI::ParseError& error) {
    app.exit(error);
    return static_cast<int>(ExitCode::kUsage);
  }
  return exit_code;
}

}  // namespace
}  // namespace batch71::cli

int main(int argc, char** argv) {
  try {
    return batch71::cli::main_checked(argc, argv);
  } catch (const batch71::UsageError& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return static_cast<int>(batch71::ExitCode::kUsage);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return static_cast<int>(batch71::ExitCode::kFailure);
  }
}
