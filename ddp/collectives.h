// Everything that ranks do together: rendezvous, small integer collectives, gradient averaging.
//
// Gloo over TCP and c10d's own Reducer. Use from the training thread only. Every call takes at most
// the deadlines given at the start and throws std::exception when a peer is lost or late.
// What differs between libtorch versions is in collectives.cc and nowhere else.
#pragma once

#include <ATen/core/TensorBody.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "ddp/environment.h"

namespace batch71::ddp {

class Collectives {
 public:
  Collectives(const Environment& env, int startup_deadline_ms, int collective_deadline_ms);
  ~Collectives();

  int world_size() const;
  // Element-wise sum over all ranks.
  std::vector<int64_t> sum(std::vector<int64_t> mine);
  // One row a rank.
  std::vector<std::vector<int64_t>> gather(const std::vector<int64_t>& mine);

  // Gradients of these parameters are averaged over all ranks inside backward(); `on_bucket` is
  // called (with the bytes) whenever an all-reduce of gradients starts.
  void reduce_gradients_of(std::vector<at::Tensor> parameters,
                           std::function<void(int64_t size_bytes)> on_bucket);
  void prepare_for_backward();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace batch71::ddp
