// Turns a filled slot into the batch that the training loop receives.
#pragma once

#include <memory>

#include "loader/batch.h"
#include "loader/batch_work.h"
#include "loader/slots.h"

namespace batch71::loader {

// The slot goes back when the last tensor over it is freed, also after the loader is gone.
Batch make_batch(BatchWork work, int64_t channels, const Dataset& dataset,
                 const std::shared_ptr<Slots>& slots);

}  // namespace batch71::loader
