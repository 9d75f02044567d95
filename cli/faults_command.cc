// `batch71 faults`: what can go wrong, how it is really done, and what must be seen of it.
#include <fmt/format.h>

#include <memory>

#include "cli/commands.h"
#include "faults/fault.h"

namespace batch71::cli {
namespace {

void list() {
  for (const faults::Fault& fault : faults::catalogue()) {
    fmt::print("{:<22} {:<9} {}\n", fault.name, faults::name(fault.family), fault.says);
  }
}

void show(const faults::Fault& fault) {
  fmt::print("{} ({})\n  what       {}\n  seam       {}\n  how        {}\n  unguarded  it {}: {}\n",
             fault.name, faults::name(fault.family), fault.says, fault.seam, fault.how,
             faults::name(fault.control), fault.unguarded);
  fmt::print("  guard      {}\n  verdict    {} in {}\n  lost       {}\n", fault.guard,
             fault.verdict, fmt::join(fault.stages, " or "), faults::name(fault.loses));
}

}  // namespace

void add_faults(CLI::App& app, int& exit_code) {
  CLI::App* command = app.add_subcommand("faults", "The catalogue of faults");
  command->require_subcommand(1);
  command->add_subcommand("list", "One line a fault")->callback([&exit_code] {
    list();
    exit_code = 0;
  });
  auto name = std::make_shared<std::string>();
  CLI::App* one = command->add_subcommand("show", "All that is known of one fault");
  one->add_option("name", *name, "its name")->required();
  one->callback([name, &exit_code] {
    show(faults::find_fault(*name));
    exit_code = 0;
  });
}

}  // namespace batch71::cli
