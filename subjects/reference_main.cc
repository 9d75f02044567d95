// The reference subject: one rank of a job that cannot hang, made of loader, ddp and diagnose.
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>

#include "ddp/classifier.h"
#include "ddp/environment.h"
#include "ddp/job.h"
#include "diagnose/diagnose.h"
#include "faults/seams/user_seams.h"
#include "loader/registry.h"
#include "trace/errors.h"
#include "trace/reader.h"

namespace {

using namespace batch71;

std::atomic<bool> stop_requested{false};
static_assert(std::atomic<bool>::is_always_lock_free);

void end_on_signals() {
  struct sigaction action {};
  action.sa_handler = [](int) { stop_requested = true; };
  action.sa_flags = SA_RESTART;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

// What happened, one line a verdict; "" when nothing did.
std::string say_what_happened(const std::string& run_folder) {
  auto verdicts = diagnose::diagnose(trace::read_run(run_folder)).verdicts;
  std::erase_if(verdicts, [](const diagnose::Verdict& verdict) {
    return verdict.kind == diagnose::Kind::kNothingWrong;
  });
  std::string lines;
  for (const std::string& line : diagnose::headlines(verdicts)) {
    lines += (lines.empty() ? "" : "\n") + line;
  }
  return lines;
}

ExitCode run() {
  const char* config_path = std::getenv("BATCH71_CONFIG");
  if (config_path == nullptr) {
    throw UsageError("BATCH71_CONFIG is not set; it names the YAML file of the job");
  }
  const ddp::JobConfig config = ddp::load_job_config(config_path);
  const auto model_seed = static_cast<uint64_t>(config.trainer.model_seed);
  ddp::Seams seams;
  seams.dataset = loader::manifest_dataset_factory(config.loader, ddp::read_environment().rank);
  seams.featurizer = user::featurizer(loader::featurizer_factory(config.loader.train_ds));
  seams.model = user::model(ddp::classifier_factory(model_seed));
  seams.on_stuck = say_what_happened;
  seams.stop_requested = [] { return stop_requested.load(); };
  end_on_signals();
  return ddp::run_job(config, seams);
}

}  // namespace

int main() {
  // As Python does: a peer that dies while Gloo writes to it is an error to be told, not our end.
  std::signal(SIGPIPE, SIG_IGN);
  try {
    return static_cast<int>(run());
  } catch (const UsageError& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return static_cast<int>(ExitCode::kUsage);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return static_cast<int>(ExitCode::kFailure);
  }
}
