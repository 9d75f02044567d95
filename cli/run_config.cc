// The config that a run really uses.
#include "cli/run_config.h"

#include <yaml-cpp/yaml.h>

#include <filesystem>
#include <fstream>

#include "ddp/job.h"
#include "loader/config.h"
#include "loader/noise.h"
#include "loader/plan.h"
#include "loader/registry.h"
#include "trace/errors.h"

namespace batch71::cli {
namespace {

namespace fs = std::filesystem;

void write_off(YAML::Node guards) {
  loader::Guards off;
  loader::switch_off(off);
  guards["item_deadline_ms"] = off.item_deadline_ms;
  guards["step_deadline_ms"] = off.step_deadline_ms;
  guards["collective_deadline_ms"] = off.collective_deadline_ms;
  guards["startup_deadline_ms"] = off.startup_deadline_ms;
}

}  // namespace

void write_run_config(const std::string& config_path, const Overrides& overrides,
                      const std::string& out_path) {
  const ddp::JobConfig checked = ddp::load_job_config(config_path);
  YAML::Node root = YAML::LoadFile(config_path);
  root["train_ds"]["manifest_filepath"] =
      fs::absolute(checked.loader.train_ds.manifest_filepath).lexically_normal().string();
  if (const std::string& noise = checked.loader.train_ds.noise_manifest_filepath; !noise.empty()) {
    root["train_ds"]["noise_manifest_filepath"] = fs::absolute(noise).lexically_normal().string();
  }
  if (const std::string& folder = checked.trainer.checkpoint_dir; !folder.empty()) {
    root["trainer"]["checkpoint_dir"] = fs::absolute(folder).lexically_normal().string();
  }
  if (overrides.steps >= 0) root["trainer"]["max_steps"] = overrides.steps;
  if (overrides.guards_off) write_off(root["guards"]);
  std::ofstream out(out_path);
  out << root << "\n";
  if (!out.flush()) throw UsageError(out_path + ": cannot be written; is the disk full?");
}

void check_data(const std::string& config_path, int num_ranks) {
  const loader::Config config = loader::load_config(config_path);
  loader::featurizer_factory(config.train_ds);  // refuses features that nobody registered
  loader::noise_plan(config.train_ds);
  for (int rank = 0; rank < num_ranks; ++rank) {
    const auto dataset = loader::manifest_dataset_factory(config, rank)();
    const loader::SamplerSpec sampler =
        loader::sampler_spec(config.train_ds, *dataset, rank, num_ranks);
    loader::refuse_if_empty(loader::make_plan(sampler, 0), sampler);
    if (!sampler.sharded) return;  // all read the same one
  }
}

}  // namespace batch71::cli
