// `batch71 log`: all ranks' traces in one, in time order, in the words of a hand-made trace.
#include <memory>

#include "cli/commands.h"
#include "diagnose/cli.h"

namespace batch71::cli {

void add_log(CLI::App& app, int& exit_code) {
  struct Options {
    std::string folder = "latest";
    std::vector<int> ranks;
    std::string batches;
    std::string indices;
    bool without_time = false;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("log", "Print what all ranks did, merged in time order");
  command->add_option("folder", options->folder, "run folder, or `latest`")->capture_default_str();
  command->add_option("--rank", options->ranks, "only these ranks")->check(CLI::NonNegativeNumber);
  command->add_option("--batch", options->batches, "only this batch, or a range: 70-72");
  command->add_option("--index", options->indices, "only these sample indices: 560-580");
  command->add_flag("--no-time", options->without_time, "leave out the time of day");
  command->callback([options, &exit_code] {
    diagnose::LogFilters filters;
    filters.ranks = options->ranks;
    if (!options->batches.empty()) filters.batches = diagnose::parse_range(options->batches);
    if (!options->indices.empty()) filters.indices = diagnose::parse_range(options->indices);
    filters.with_time = !options->without_time;
    exit_code = diagnose::log_command(options->folder, filters);
  });
}

}  // namespace batch71::cli
