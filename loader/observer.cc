// Observations.
#include "loader/observer.h"

#include <filesystem>

#include "trace/peek.h"
#include "trace/process_state.h"

namespace batch71::loader {
namespace {

// "\nthread " and its state for each thread, if there are several.
std::string other_threads(int pid) {
  std::string text;
  int count = 0;
  std::error_code failed;
  const std::string tasks = "/proc/" + std::to_string(pid) + "/task";
  for (const auto& task : std::filesystem::directory_iterator(tasks, failed)) {
    ++count;
    const int tid = std::atoi(task.path().filename().c_str());
    if (tid != pid) text += "\nthread " + trace::to_text(trace::thread_state(pid, tid));
  }
  return count > 1 ? text : "";
}

}  // namespace

trace::Stage newest_stage(const std::string& trace_path) {
  trace::Peek peek(trace_path);
  if (!peek.refresh()) return trace::Stage::kNone;
  const auto newest = peek.newest();
  return newest ? newest->stage : trace::Stage::kNone;
}

trace::Stage observe(const Suspect& suspect, const trace::Place& place, trace::Writer& trace) {
  const trace::Stage stage = newest_stage(suspect.trace_path);
  const trace::ProcessState state = trace::process_state(suspect.pid);
  std::string text = "who=" + suspect.who + " " + trace::to_text(state);
  if (suspect.list_threads) text += other_threads(suspect.pid);
  trace.incident_at(place, trace::Event::kObservation, stage, text, suspect.pid,
                    static_cast<int64_t>(state.cpu_ns));
  return stage;
}

}  // namespace batch71::loader
