// The table of features, and the dataset of the config's manifest.
#include "loader/registry.h"

#include <map>
#include <stdexcept>

#include "loader/log_mel.h"
#include "loader/manifest.h"
#include "loader/manifest_dataset.h"
#include "loader/waveform_features.h"
#include "loader/yaml_section.h"
#include "trace/errors.h"

namespace batch71::loader {
namespace {

constexpr std::string_view kRankField = "{rank}";

std::map<std::string, FeaturizerMaker>& makers() {
  static std::map<std::string, FeaturizerMaker> table = {
      {"log_mel", [](const TrainDs& config) { return std::make_unique<LogMel>(config); }},
      {"waveform", [](const TrainDs&) { return std::make_unique<WaveformFeatures>(); }},
  };
  return table;
}

}  // namespace

void register_featurizer(const std::string& name, FeaturizerMaker maker) {
  if (!makers().emplace(name, std::move(maker)).second) {
    throw std::logic_error("features '" + name + "' are registered twice");
  }
}

FeaturizerFactory featurizer_factory(const TrainDs& config) {
  const auto found = makers().find(config.features);
  if (found == makers().end()) {
    std::vector<std::string> known;
    std::string all;
    for (const auto& entry : makers()) {
      known.push_back(entry.first);
      all += (all.empty() ? "" : ", ") + entry.first;
    }
    throw UsageError("train_ds.features: no features are called '" + config.features +
                     "'; known: " + all + "; the nearest is '" + nearest(config.features, known) +
                     "'");
  }
  return [maker = found->second, config] { return maker(config); };
}

DatasetFactory manifest_dataset_factory(const Config& config, int rank) {
  std::string path = config.train_ds.manifest_filepath;
  const size_t field = path.find(kRankField);
  const bool is_shard = field != std::string::npos;
  if (is_shard) path.replace(field, kRankField.size(), std::to_string(rank));
  const ManifestLimits limits{config.train_ds.min_duration, config.train_ds.max_duration, is_shard};
  const auto manifest = std::make_shared<const Manifest>(path, limits);
  return [manifest, config, is_shard] {
    return std::make_unique<ManifestDataset>(manifest, config, is_shard);
  };
}

}  // namespace batch71::loader
