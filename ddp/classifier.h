// A small classifier of utterances: what the main job trains, and a model to begin with.
//
// [batch, channels, frames] -> two strided convolutions, mean over the valid frames, linear ->
// [batch, num_classes]; cross entropy. Any number of channels. The weights follow from the seed alone.
// A step of 8 short clips costs milliseconds.
#pragma once

#include <cstdint>

#include "ddp/model_factory.h"

namespace batch71::ddp {

ModelFactory classifier_factory(uint64_t seed);

}  // namespace batch71::ddp
