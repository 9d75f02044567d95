// The `trainer:` section beside the loader's.
#include <bit>

#include "ddp/job.h"
#include "loader/hash.h"
#include "loader/yaml_section.h"

namespace batch71::ddp {
namespace {

loader::Section bind(Trainer& to) {
  loader::Section keys("trainer");
  keys.integer("max_steps", to.max_steps, -1, INT64_MAX,
               "Steps of the optimizer over all epochs; -1: no limit.");
  keys.integer("max_epochs", to.max_epochs, 1, 1'000'000, "Passes over the data.");
  keys.integer("accumulate_grad_batches", to.accumulate_grad_batches, 1, 1'000'000,
               "Batches of each rank in a step; the last step of an epoch may have fewer.");
  keys.number("lr", to.lr, 0, 1'000, "Learning rate of SGD.");
  keys.optional_text("checkpoint_dir", to.checkpoint_dir,
                     "Folder for the job's state; the same command again goes on there.");
  keys.integer("checkpoint_every_steps", to.checkpoint_every_steps, 1, INT64_MAX,
               "Steps from one checkpoint to the next; the job's end has one anyhow.");
  keys.integer("model_seed", to.model_seed, 0, INT64_MAX, "Of the initial weights.");
  return keys;
}

}  // namespace

JobConfig load_job_config(const std::string& path) {
  JobConfig config;
  config.loader = loader::load_config(path);
  loader::read_section(path, bind(config.trainer));
  return config;
}

uint64_t digest(const Trainer& trainer) {
  Trainer copy = trainer;
  loader::Digest digest;
  for (const std::string& value : bind(copy).values()) digest.add(value);
  digest.add(std::bit_cast<uint64_t>(trainer.lr));  // all digits of it
  return digest.value();
}

std::string describe_trainer() {
  Trainer trainer;
  return "# Trainer\n\n"
         "Generated from the table in `ddp/config.cc`; a unit test compares. The third section of "
         "the "
         "YAML file that `docs/config.md` describes.\n\n" +
         bind(trainer).describe();
}

}  // namespace batch71::ddp
