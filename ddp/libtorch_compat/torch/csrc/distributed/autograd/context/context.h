// Stands in for a header that c10d/reducer.hpp includes and Debian's libtorch-dev does not ship.
// Only these names are used by the Reducer's declaration; distributed autograd itself is not.
#pragma once

#include <ATen/core/TensorBody.h>

#include <functional>
#include <memory>

namespace torch::distributed::autograd {

class DistAutogradContext {
 public:
  using GradCallback = std::function<bool(at::Tensor&)>;
};
using ContextPtr = std::shared_ptr<DistAutogradContext>;

}  // namespace torch::distributed::autograd
