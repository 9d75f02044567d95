// corpusfs: serves a corpus folder over itself and strikes by rules, watches one file of it, or leaves little room.
//
// Runs in the foreground until it is ended by a signal. Writes "ready" to the descriptor in READY_FD.
#include <CLI/CLI.hpp>
#include <cstdlib>

#include "faults/corpusfs/little_room.h"
#include "faults/corpusfs/rules.h"
#include "faults/corpusfs/server.h"
#include "faults/corpusfs/strike_log.h"
#include "faults/corpusfs/watchers.h"
#include "trace/errors.h"
#include "trace/exit_code.h"

namespace batch71::faults {
namespace {

void say_ready() {
  const char* fd = std::getenv("READY_FD");
  if (fd != nullptr) (void)!write(std::atoi(fd), "ready\n", 6);
}

int main_of_corpusfs(int argc, char** argv) {
  std::string folder, rules_path, watched, fifo, cramped, full, log_path;
  uint64_t room_bytes = 0;
  CLI::App app(
      "Serves a corpus folder over itself and strikes by rules, watches a file, or leaves little "
      "room.");
  auto* mode = app.add_option_group("mode");
  auto* serve = mode->add_option("--folder", folder, "folder to serve over itself (FUSE)");
  mode->add_option("--watch-open", watched, "log the first open of this file");
  mode->add_option("--fifo", fifo, "be the silent writer of this FIFO; log its first reader");
  auto* room = mode->add_option("--cramped", cramped, "folder to get --room-bytes; log who comes");
  mode->require_option(1);
  app.add_option("--room-bytes", room_bytes, "room in it")->needs(room);
  app.add_option("--full", full, "tmpfs that is full meanwhile")->needs(room);
  app.add_option("--rules", rules_path, "JSON array of rules")->needs(serve);
  app.add_option("--strikes", log_path, "strike log to append to")->required();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : static_cast<int>(ExitCode::kUsage);
  }
  const StrikeLog log(log_path);
  launch::UniqueFd writer;
  if (!folder.empty()) {
    Rules rules(rules_path.empty() ? std::vector<Rule>{} : read_rules(rules_path));
    serve_folder(folder, rules, log, say_ready);
    return static_cast<int>(ExitCode::kFailure);
  }
  if (!cramped.empty()) {
    give_little_room(cramped, room_bytes, full, log, say_ready);
    return 0;
  }
  if (!watched.empty())
    await_open(watched, log, say_ready);
  else
    writer = await_fifo_reader(fifo, log, say_ready);
  pause();
  return 0;
}

}  // namespace
}  // namespace batch71::faults

int main(int argc, char** argv) {
  using batch71::ExitCode;
  try {
    return batch71::faults::main_of_corpusfs(argc, argv);
  } catch (const batch71::UsageError& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return static_cast<int>(ExitCode::kUsage);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return static_cast<int>(ExitCode::kFailure);
  }
}
