// A job's state and what it looks like in a file.
#include "ddp/checkpoint.h"

#include <fmt/format.h>
#include <zlib.h>

#include <nlohmann/json.hpp>

#include "trace/errors.h"

namespace batch71::ddp {
namespace {

using json = nlohmann::ordered_json;

constexpr int kFormat = 1;

std::string hex(uint64_t value) { return fmt::format("{:016x}", value); }
uint64_t from_hex(const json& text) { return std::stoull(text.get<std::string>(), nullptr, 16); }

std::string crc_of(const std::string& bytes) {
  const uLong none = crc32_z(0, nullptr, 0);
  return fmt::format("{:08x}",
                     crc32_z(none, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

json to_json(const JobState& state) {
  return {{"format", kFormat},
          {"world_size", state.world_size},
          {"seed", state.seed},
          {"parameter_digest", hex(state.parameter_digest)},
          {"manifest_digest", hex(state.manifest_digest)},
          {"plan_digest", hex(state.plan_digest)},
          {"epoch", state.epoch},
          {"batches", state.batches},
          {"samples", state.samples},
          {"steps", state.steps},
          {"dummies", state.dummies},
          {"loss", state.loss}};
}

JobState from_json(const json& line) {
  JobState state;
  state.world_size = line.at("world_size");
  state.seed = line.at("seed");
  state.parameter_digest = from_hex(line.at("parameter_digest"));
  state.manifest_digest = from_hex(line.at("manifest_digest"));
  state.plan_digest = from_hex(line.at("plan_digest"));
  state.epoch = line.at("epoch");
  state.batches = line.at("batches");
  state.samples = line.at("samples");
  state.steps = line.at("steps");
  state.dummies = line.at("dummies");
  state.loss = line.at("loss");
  return state;
}

// Throws std::exception for anything that is not whole.
Checkpoint parse(const std::string& bytes) {
  const size_t end = bytes.find('\n');
  if (end == std::string::npos) throw std::runtime_error("it has no first line");
  const json line = json::parse(bytes.substr(0, end));
  if (line.at("format") != kFormat) throw std::runtime_error("its format is not known");
  Checkpoint checkpoint{from_json(line), bytes.substr(end + 1)};
  const std::string& weights = checkpoint.weights;
  if (weights.size() != line.at("bytes")) throw std::runtime_error("it is cut");
  if (crc_of(weights) != line.at("crc32")) throw std::runtime_error("its checksum is wrong");
  return checkpoint;
}

}  // namespace

std::string to_text(const JobState& state) {
  return fmt::format("epoch {}, batch {}: {} samples consumed over all ranks, {} steps taken",
                     state.epoch, state.batches, state.samples, state.steps);
}

std::string why_refused(const JobState& saved, const JobState& job) {
  const auto differs = [](const auto& what, const auto& then, const auto& now) {
    return fmt::format("was saved with {} {}, this job has {}", what, then, now);
  };
  if (saved.world_size != job.world_size) {
    return differs("world size", saved.world_size, job.world_size);
  }
  if (saved.seed != job.seed) return differs("seed", saved.seed, job.seed);
  if (saved.manifest_digest != job.manifest_digest) {
    return differs("the manifest", hex(saved.manifest_digest), hex(job.manifest_digest));
  }
  if (saved.parameter_digest != job.parameter_digest) {
    return differs("parameters", hex(saved.parameter_digest), hex(job.parameter_digest));
  }
  if (saved.plan_digest != job.plan_digest) {
    return differs("the plan", hex(saved.plan_digest), hex(job.plan_digest)) +
           " (batch size, order, filters)";
  }
  return {};
}

std::string encode(const Checkpoint& checkpoint) {
  json line = to_json(checkpoint.state);
  line["bytes"] = checkpoint.weights.size();
  line["crc32"] = crc_of(checkpoint.weights);
  return line.dump() + "\n" + checkpoint.weights;
}

Checkpoint decode(const std::string& bytes, const std::string& path) {
  try {
    return parse(bytes);
  } catch (const std::exception& error) {
    throw UsageError(
        fmt::format("{}: no whole checkpoint: {}; remove it to begin anew", path, error.what()));
  }
}

}  // namespace batch71::ddp
