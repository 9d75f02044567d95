// Everything that ranks do together: rendezvous, small integer collectives, gradient averaging.
//
// Gloo over TCP and c10d's own Reducer. Use from the training thread only. Every call takes at most
// its deadline and throws std::exception when a peer is lost or late.
// What differs between libtorch versions is in libtorch_version.h and nowhere else.
#pragma once

#include <ATen/core/TensorBody.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "ddp/agreement.h"
#include "ddp/environment.h"

namespace batch71::ddp {

class Collectives {
 public:
  // The rendezvous. UsageError where the store cannot be: port taken, address unknown, or an agent's
  // store of another libtorch.
  Collectives(const Environment& env, int startup_deadline_ms);
  ~Collectives();

  // Of the collectives from now on; at first it is that of the start.
  void set_deadline_ms(int deadline_ms);
  int world_size() const;
  // Element-wise sum over all ranks.
  Row sum(const Row& mine);
  // One row a rank.
  std::vector<Row> gather(const Row& mine);
  // All ranks get rank 0's values.
  void broadcast(const std::vector<at::Tensor>& tensors);

  // Gradients of these parameters are averaged over all ranks inside backward(); `on_bucket` is
  // called, on the thread of backward(), whenever an all-reduce of gradients starts.
  using OnBucket = std::function<void(int64_t size_bytes, bool is_last)>;
  void reduce_gradients_of(const std::vector<at::Tensor>& parameters, OnBucket on_bucket);
  void prepare_for_backward();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace batch71::ddp
