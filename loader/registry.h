// Features by name: `train_ds.features` picks one; programs add their own before they load a config.
#pragma once

#include <functional>
#include <string>

#include "loader/config.h"
#include "loader/featurizer.h"

namespace batch71::loader {

using FeaturizerMaker = std::function<std::unique_ptr<Featurizer>(const TrainDs&)>;

// "log_mel" and "waveform" are there from the start. A duplicate name is an error.
void register_featurizer(const std::string& name, FeaturizerMaker maker);
// UsageError with the known names where there is none of that name.
FeaturizerFactory featurizer_factory(const TrainDs& config);
// The NeMo manifest of the config as a dataset (loader/manifest.h).
DatasetFactory manifest_dataset_factory(const Config& config, int rank);

}  // namespace batch71::loader
