// A worker process: takes items from its mailbox until it is killed.
#pragma once

#include "loader/zygote.h"

namespace batch71::loader {

[[noreturn]] void run_worker(const ChildSetup& setup, const SpawnRequest& who, Dataset& dataset,
                             NoiseMixer* noise, Featurizer& featurizer);

}  // namespace batch71::loader
