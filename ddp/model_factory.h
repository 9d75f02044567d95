// How a job gets its model, without libtorch's headers: ddp/model.h has the seam itself.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

namespace batch71::ddp {

class Model;
struct ModelSpec {
  int64_t channels = 0;
  int64_t num_classes = 0;
};
using ModelFactory = std::function<std::shared_ptr<Model>(const ModelSpec&)>;

}  // namespace batch71::ddp
