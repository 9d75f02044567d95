// Cells as JSON.
#include "launch/cell_spec.h"

#include <fstream>
#include <nlohmann/json.hpp>

#include "trace/errors.h"

namespace batch71::launch {

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(BindMount, source, target, read_only)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(HelperSpec, name, argv, env, ready_deadline_ms, release_after_ms,
                                   stop_grace_ms)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(RanksSpec, argv, world_size, run_folder, config_path,
                                   ledger_folder, output_folder, working_folder, env, rank_env,
                                   deadline_ms, end_grace_ms, term_ms, kill_ms)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(CellSpec, case_folder, kept_folders, mounts, helpers, ranks,
                                   leftover_grace_ms)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(RankEnd, rank, pid, ended, exit_code, signal, ended_by_us, deaf,
                                   start_monotonic_ns, end_monotonic_ns)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(HelperEnd, name, pid, was_ready, ended, exit_code, signal,
                                   ready_monotonic_ns, end_monotonic_ns)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Leftovers, processes, files, mounts, segments)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(CellResult, error, reason, ranks, helpers, leftovers)

namespace {

using nlohmann::json;

template <typename T>
T read_json(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw UsageError(path + ": cannot be read; is it the cell.json of a case folder?");
  try {
    return json::parse(file).get<T>();
  } catch (const json::exception& problem) {
    throw UsageError(path + ": " + problem.what());
  }
}

// Process names and paths are bytes, not always UTF-8.
std::string dump(const json& value) {
  return value.dump(2, ' ', false, json::error_handler_t::replace);
}

}  // namespace

std::string to_json(const CellSpec& spec) { return dump(json(spec)); }
std::string to_json(const CellResult& result) { return dump(json(result)); }
CellSpec read_cell_spec(const std::string& path) { return read_json<CellSpec>(path); }
CellResult read_cell_result(const std::string& path) { return read_json<CellResult>(path); }

}  // namespace batch71::launch
