// A user's featurizer and model, as a program registers its own: what is inside, and user::Hooks around.
#pragma once

#include "ddp/model.h"
#include "loader/featurizer.h"

namespace user {

// Each gives back what it was given where USER_HOOKS asks for nothing there.
batch71::loader::FeaturizerFactory featurizer(batch71::loader::FeaturizerFactory inner);
batch71::ddp::ModelFactory model(batch71::ddp::ModelFactory inner);

}  // namespace user
