// The env:// variables of a rank.
#include "ddp/environment.h"

#include <charconv>
#include <cstdlib>
#include <cstring>

#include "trace/errors.h"
#include "trace/run_folder.h"

namespace batch71::ddp {
namespace {

std::string text(const char* name, const char* fallback) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0' ? value : fallback;
}

const char* required(const char* name) {
  const char* value = std::getenv(name);
  if (value != nullptr && *value != '\0') return value;
  throw UsageError(std::string(name) + " is not set; start ranks with `batch71 run` or torchrun");
}

int number(const char* name, const char* value, int least, int most) {
  int out = 0;
  const char* end = value + std::strlen(value);
  const auto [rest, failed] = std::from_chars(value, end, out);
  if (failed != std::errc() || rest != end || out < least || out > most) {
    throw UsageError(std::string(name) + "=" + value + " cannot be; expected " +
                     std::to_string(least) + " to " + std::to_string(most));
  }
  return out;
}

}  // namespace

Environment read_environment() {
  Environment env;
  env.world_size = number("WORLD_SIZE", required("WORLD_SIZE"), 1, 65'536);
  env.rank = number("RANK", required("RANK"), 0, env.world_size - 1);
  env.master_addr = required("MASTER_ADDR");
  env.master_port = number("MASTER_PORT", required("MASTER_PORT"), 1, 65'535);
  env.agent_hosts_store = text("TORCHELASTIC_USE_AGENT_STORE", "False") == "True";
  constexpr const char* kRestarts = "TORCHELASTIC_RESTART_COUNT";
  const std::string restarts = text(kRestarts, "");
  env.restart_count = number(kRestarts, restarts.empty() ? "0" : restarts.c_str(), 0, 1'000'000);
  env.run_folder = text("BATCH71_RUN_DIR", "");
  if (!env.run_folder.empty() && !restarts.empty()) {
    env.run_folder = trace::attempt_folder(env.run_folder, env.restart_count);
  }
  env.ledger_path = text("BATCH71_LEDGER", "");
  return env;
}

}  // namespace batch71::ddp
