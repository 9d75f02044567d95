// The reference subject: one rank of a job that cannot hang, made of loader, ddp and diagnose.
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <string>

#include "ddp/classifier.h"
#include "ddp/job.h"
#include "diagnose/diagnose.h"
#include "faults/seams/user_seams.h"
#include "loader/registry.h"
#include "trace/errors.h"
#include "trace/reader.h"

namespace {

using namespace batch71;

// What happened, in one line; "" when nothing did.
std::string say_what_happened(const std::string& run_folder) {
  const diagnose::Diagnosis diagnosis = diagnose::diagnose(trace::read_run(run_folder));
  const diagnose::Verdict& first = diagnosis.verdicts.front();
  return first.kind == diagnose::Kind::kNothingWrong ? std::string() : diagnose::one_line(first);
}

int rank_of_environment() {
  const char* rank = std::getenv("RANK");
  return rank != nullptr ? std::atoi(rank) : 0;
}

ExitCode run() {
  const char* config_path = std::getenv("BATCH71_CONFIG");
  if (config_path == nullptr) {
    throw UsageError("BATCH71_CONFIG is not set; it names the YAML file of the job");
  }
  const ddp::JobConfig config = ddp::load_job_config(config_path);
  ddp::Seams seams;
  seams.dataset = loader::manifest_dataset_factory(config.loader, rank_of_environment());
  seams.featurizer = user::featurizer(loader::featurizer_factory(config.loader.train_ds));
  seams.model = user::model([seed = config.trainer.model_seed](const ddp::ModelSpec& spec) {
    return std::make_shared<ddp::Classifier>(spec, static_cast<uint64_t>(seed));
  });
  seams.on_stuck = say_what_happened;
  return ddp::run_job(config, seams);
}

}  // namespace

int main() {
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
