// The subcommands of `batch71`: each adds itself to the command line and leaves its exit code.
#pragma once

#include <CLI/CLI.hpp>

namespace batch71::cli {

// `exit_code` is set by the callback of the subcommand that was chosen. Callbacks may throw
// UsageError: main prints it and ends with ExitCode::kUsage.
void add_run(CLI::App& app, int& exit_code);
void add_diagnose(CLI::App& app, int& exit_code);
void add_log(CLI::App& app, int& exit_code);
void add_faults(CLI::App& app, int& exit_code);
void add_gate(CLI::App& app, int& exit_code);
void add_corpus(CLI::App& app, int& exit_code);

}  // namespace batch71::cli
