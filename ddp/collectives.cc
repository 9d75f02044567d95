// Gloo and c10d's Reducer; the one file that knows the version of libtorch.
#include "ddp/collectives.h"

#include <ATen/Functions.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#include <torch/csrc/distributed/c10d/reducer.hpp>

#include <chrono>

namespace batch71::ddp {
namespace {

using Millis = std::chrono::milliseconds;

c10::intrusive_ptr<c10d::Store> connect_store(const Environment& env, Millis deadline) {
  c10d::TCPStoreOptions options;
  options.port = static_cast<uint16_t>(env.master_port);
  options.isServer = env.rank == 0 && !env.agent_hosts_store;
  options.numWorkers = static_cast<size_t>(env.world_size);
  options.waitWorkers = false;
  options.timeout = deadline;
  auto tcp = c10::make_intrusive<c10d::TCPStore>(env.master_addr, options);
  return c10::make_intrusive<c10d::PrefixStore>("batch71/" + std::to_string(env.restart_count),
                                                tcp);
}

c10::intrusive_ptr<c10d::ProcessGroupGloo> connect_group(const Environment& env, Millis startup,
                                                         Millis collective) {
  auto options = c10d::ProcessGroupGloo::Options::create(collective);
  const bool is_local = env.master_addr == "127.0.0.1" || env.master_addr == "localhost";
  options->devices.push_back(is_local ? c10d::ProcessGroupGloo::createDeviceForHostname("127.0.0.1")
                                      : c10d::ProcessGroupGloo::createDefaultDevice());
  return c10::make_intrusive<c10d::ProcessGroupGloo>(connect_store(env, startup), env.rank,
                                                     env.world_size, options);
}

// Averages a bucket over all ranks, as DDP does by itself; a hook, so that its start is seen.
// (CppCommHookInterface would do, if libtorch exported what it calls.)
class AveragingHook : public c10d::CommHookInterface {
 public:
  AveragingHook(c10::intrusive_ptr<c10d::ProcessGroup> group,
                std::function<void(int64_t)> on_bucket)
      : group_(std::move(group)), on_bucket_(std::move(on_bucket)) {}

  c10::intrusive_ptr<c10::ivalue::Future> runHook(c10d::GradBucket& bucket) override {
    std::vector<at::Tensor> tensors{bucket.getBufferRef()};
    on_bucket_(static_cast<int64_t>(tensors[0].nbytes()));
    tensors[0].div_(group_->getSize());
    return group_->allreduce(tensors)->getFuture();
  }

  at::Tensor parseHookResult(const c10::IValue& result) override {
    return result.isTensor() ? result.toTensor() : result.toTensorVector().at(0);
  }

 private:
  c10::intrusive_ptr<c10d::ProcessGroup> group_;
  std::function<void(int64_t)> on_bucket_;
};

at::Tensor to_tensor(const std::vector<int64_t>& values) {
  at::Tensor tensor = at::empty({static_cast<int64_t>(values.size())}, at::kLong);
  std::copy(values.begin(), values.end(), tensor.data_ptr<int64_t>());
  return tensor;
}

std::vector<int64_t> to_vector(const at::Tensor& tensor) {
  const int64_t* data = tensor.data_ptr<int64_t>();
  return {data, data + tensor.numel()};
}

}  // namespace

class Collectives::Impl {
 public:
  c10::intrusive_ptr<c10d::ProcessGroupGloo> group;
  std::unique_ptr<c10d::Reducer> reducer;
};

Collectives::Collectives(const Environment& env, int startup_deadline_ms,
                         int collective_deadline_ms)
    : impl_(std::make_unique<Impl>()) {
  impl_->group = connect_group(env, Millis(startup_deadline_ms), Millis(collective_deadline_ms));
}

Collectives::~Collectives() = default;

int Collectives::world_size() const { return impl_->group->getSize(); }

std::vector<int64_t> Collectives::sum(std::vector<int64_t> mine) {
  std::vector<at::Tensor> tensors{to_tensor(mine)};
  impl_->group->allreduce(tensors)->wait();
  return to_vector(tensors[0]);
}

std::vector<std::vector<int64_t>> Collectives::gather(const std::vector<int64_t>& mine) {
  std::vector<at::Tensor> input{to_tensor(mine)};
  std::vector<std::vector<at::Tensor>> output(1);
  for (int rank = 0; rank < world_size(); ++rank) output[0].push_back(at::empty_like(input[0]));
  impl_->group->allgather(output, input)->wait();
  std::vector<std::vector<int64_t>> rows;
  for (const at::Tensor& row : output[0]) rows.push_back(to_vector(row));
  return rows;
}

void Collectives::reduce_gradients_of(std::vector<at::Tensor> parameters,
                                      std::function<void(int64_t)> on_bucket) {
  const std::vector<size_t> limits{c10d::kDefaultFirstBucketBytes, c10d::kDefaultBucketBytesCap};
  auto [buckets, bucket_limits] = c10d::compute_bucket_assignment_by_size(parameters, limits);
  std::vector<bool> sparse(parameters.size(), false);
  impl_->reducer = std::make_unique<c10d::Reducer>(
      parameters, std::move(buckets), std::move(bucket_limits), impl_->group, std::move(sparse),
      c10d::kDefaultBucketBytesCap, /*find_unused_parameters=*/false,
      /*gradient_as_bucket_view=*/false, std::unordered_map<size_t, std::string>{},
      c10d::kDefaultFirstBucketBytes);
  impl_->reducer->register_comm_hook(
      std::make_unique<AveragingHook>(impl_->group, std::move(on_bucket)));
}

void Collectives::prepare_for_backward() { impl_->reducer->prepare_for_backward({}); }

}  // namespace batch71::ddp
