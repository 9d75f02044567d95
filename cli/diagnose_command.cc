// `batch71 diagnose`: says where a run stands still, from its folder alone.
#include <unistd.h>

#include <memory>

#include "cli/commands.h"
#include "diagnose/cli.h"

namespace batch71::cli {

void add_diagnose(CLI::App& app, int& exit_code) {
  struct Options {
    std::string folder = "latest";
    bool json = false;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "diagnose", "Say which rank, worker, sample, file and stage, since when, and what to do");
  command->add_option("folder", options->folder, "run folder, or `latest`")->capture_default_str();
  command->add_flag("--json", options->json, "for programs");
  command->callback([options, &exit_code] {
    exit_code =
        diagnose::diagnose_command(options->folder, options->json, isatty(STDOUT_FILENO) != 0);
  });
}

}  // namespace batch71::cli
