// The `trainer:` section beside the loader's.
#include "ddp/job.h"
#include "loader/yaml_section.h"

namespace batch71::ddp {

JobConfig load_job_config(const std::string& path) {
  JobConfig config;
  config.loader = loader::load_config(path);
  Trainer& trainer = config.trainer;
  loader::Section keys("trainer");
  keys.integer("max_steps", trainer.max_steps, -1, INT64_MAX, "Over all epochs; -1: no limit.");
  keys.integer("max_epochs", trainer.max_epochs, 1, 1'000'000, "Passes over the data.");
  keys.number("lr", trainer.lr, 0, 1'000, "Learning rate of SGD.");
  keys.integer("model_seed", trainer.model_seed, 0, INT64_MAX, "Of the initial weights.");
  loader::read_section(path, keys);
  return config;
}

}  // namespace batch71::ddp
