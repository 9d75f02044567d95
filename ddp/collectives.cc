// Gloo and c10d's Reducer.
#include "ddp/collectives.h"

#include <ATen/ops/empty.h>
#include <fmt/format.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <algorithm>
#include <chrono>
#include <future>
#include <thread>

#include "ddp/error_text.h"
#include "ddp/libtorch_version.h"
#include "ddp/listener.h"
#include "trace/clock.h"
#include "trace/errors.h"

namespace batch71::ddp {
namespace {

using Millis = std::chrono::milliseconds;

// An agent hosts its store before it starts ranks: it answers soon or never.
constexpr Millis kAgentAnswersIn{10'000};

c10d::TCPStoreOptions store_options(const Environment& env, Millis timeout) {
  c10d::TCPStoreOptions options;
  options.port = static_cast<uint16_t>(env.master_port);
  options.isServer = env.rank == 0 && !env.agent_hosts_store;
  options.numWorkers = static_cast<size_t>(env.world_size);
  options.waitWorkers = false;
  options.timeout = timeout;
  return options;
}

using Tcp = c10::intrusive_ptr<c10d::TCPStore>;

// One that speaks another libtorch's protocol lets us connect, and answers nothing or hangs up. Of the
// calls that want an answer only `wait` has a timeout in 1.13; those of 2.15 outlast theirs, for ever
// where the agent is stopped. So it is asked on a thread of its own, which is left behind if it is late:
// the rank ends then.
Tcp connect_to_agent(const Environment& env, const std::string& prefix, Millis deadline) {
  auto answer = std::make_shared<std::promise<Tcp>>();
  std::future<Tcp> store = answer->get_future();
  std::thread([answer, env, prefix, deadline] {
    try {
      auto tcp = c10::make_intrusive<c10d::TCPStore>(env.master_addr, store_options(env, deadline));
      const std::string hello = prefix + "/hello";
      tcp->set(hello, {1});
      tcp->wait({hello}, deadline);
      answer->set_value(tcp);
    } catch (...) {
      answer->set_exception(std::current_exception());
    }
  }).detach();
  if (store.wait_for(deadline) != std::future_status::ready) throw std::runtime_error("no answer");
  return store.get();
}

c10::intrusive_ptr<c10d::Store> connect_store(const Environment& env, Millis startup) {
  const Millis patience =
      startup * 3 / 4;  // before the watch ends the rank: it is known better here
  const Millis timeout = env.agent_hosts_store ? std::min(patience, kAgentAnswersIn) : patience;
  const c10d::TCPStoreOptions options = store_options(env, timeout);
  const std::string prefix = "batch71/" + std::to_string(env.restart_count);
  try {
    const auto timeout_ns = static_cast<uint64_t>(std::chrono::nanoseconds(timeout).count());
    if (!options.isServer &&
        !await_listener(env.master_addr, env.master_port, trace::monotonic_ns() + timeout_ns)) {
      throw std::runtime_error(
          fmt::format("nobody listens at {}:{}", env.master_addr, env.master_port));
    }
    const Tcp tcp = env.agent_hosts_store
                        ? connect_to_agent(env, prefix, timeout)
                        : c10::make_intrusive<c10d::TCPStore>(env.master_addr, options);
    tcp->setTimeout(patience);  // other ranks may take their time
    return c10::make_intrusive<c10d::PrefixStore>(prefix, tcp);
  } catch (const std::exception& error) {
    if (!options.isServer && !env.agent_hosts_store)
      throw;  // rank 0 is lost or late: no usage error
    const std::string remedy =
        env.agent_hosts_store
            ? "the agent's store does not answer as libtorch " + libtorch_version() +
                  " does; start torchrun with --standalone and TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1"
            : "cannot host the store there; choose a free MASTER_PORT";
    throw UsageError(fmt::format("MASTER_ADDR={} MASTER_PORT={}: {} ({})", env.master_addr,
                                 env.master_port, remedy, first_line(error.what())));
  }
}

Group connect_group(const Environment& env, Millis startup) {
  auto options = c10d::ProcessGroupGloo::Options::create(startup);
  const bool is_local = env.master_addr == "127.0.0.1" || env.master_addr == "localhost";
  options->devices.push_back(is_local ? c10d::ProcessGroupGloo::createDeviceForHostname("127.0.0.1")
                                      : c10d::ProcessGroupGloo::createDefaultDevice());
  return to_group(c10::make_intrusive<c10d::ProcessGroupGloo>(connect_store(env, startup), env.rank,
                                                              env.world_size, options));
}

c10d::AllreduceOptions allreduce_options(Millis deadline) {
  c10d::AllreduceOptions options;
  options.timeout = deadline;
  return options;
}

// Averages a bucket over all ranks, as DDP does by itself; a hook, so that its start is seen and its
// deadline is ours. (CppCommHookInterface would do, if libtorch exported what it calls.)
class AveragingHook : public c10d::CommHookInterface {
 public:
  AveragingHook(Group group, const Millis& deadline, Collectives::OnBucket on_bucket)
      : group_(std::move(group)), deadline_(deadline), on_bucket_(std::move(on_bucket)) {}

  c10::intrusive_ptr<c10::ivalue::Future> runHook(c10d::GradBucket& bucket) override {
    std::vector<at::Tensor> tensors{bucket.getBufferRef()};
    on_bucket_(static_cast<int64_t>(tensors[0].nbytes()), bucket.isLast());
    tensors[0].div_(group_->getSize());
    return group_->allreduce(tensors, allreduce_options(deadline_))->getFuture();
  }

  at::Tensor parseHookResult(const c10::IValue& result) override {
    return result.isTensor() ? result.toTensor() : result.toTensorVector().at(0);
  }

 private:
  Group group_;
  const Millis& deadline_;  // as it is when a bucket starts
  Collectives::OnBucket on_bucket_;
};

at::Tensor to_tensor(const Row& values) {
  at::Tensor tensor = at::empty({static_cast<int64_t>(values.size())}, at::kLong);
  std::copy(values.begin(), values.end(), tensor.data_ptr<int64_t>());
  return tensor;
}

Row to_row(const at::Tensor& tensor) {
  const int64_t* data = tensor.data_ptr<int64_t>();
  return {data, data + tensor.numel()};
}

}  // namespace

class Collectives::Impl {
 public:
  Group group;
  Millis deadline;
  std::unique_ptr<c10d::Reducer> reducer;
};

Collectives::Collectives(const Environment& env, int startup_deadline_ms)
    : impl_(std::make_unique<Impl>()) {
  impl_->deadline = Millis(startup_deadline_ms);
  impl_->group = connect_group(env, impl_->deadline);
}

Collectives::~Collectives() = default;

void Collectives::set_deadline_ms(int deadline_ms) { impl_->deadline = Millis(deadline_ms); }

int Collectives::world_size() const { return impl_->group->getSize(); }

Row Collectives::sum(const Row& mine) {
  std::vector<at::Tensor> tensors{to_tensor(mine)};
  impl_->group->allreduce(tensors, allreduce_options(impl_->deadline))->wait();
  return to_row(tensors[0]);
}

std::vector<Row> Collectives::gather(const Row& mine) {
  std::vector<at::Tensor> input{to_tensor(mine)};
  std::vector<std::vector<at::Tensor>> output(1);
  for (int rank = 0; rank < world_size(); ++rank) output[0].push_back(to_tensor(mine));
  c10d::AllgatherOptions options;
  options.timeout = impl_->deadline;
  impl_->group->allgather(output, input, options)->wait();
  std::vector<Row> rows;
  for (const at::Tensor& row : output[0]) rows.push_back(to_row(row));
  return rows;
}

void Collectives::broadcast(const std::vector<at::Tensor>& tensors) {
  constexpr size_t kBufferBytes = size_t{25} << 20;  // as DDP's initial broadcast
  c10d::broadcast_coalesced(impl_->group, tensors, kBufferBytes, 0);
}

void Collectives::reduce_gradients_of(const std::vector<at::Tensor>& parameters,
                                      OnBucket on_bucket) {
  impl_->reducer = make_reducer(parameters, impl_->group);
  impl_->reducer->register_comm_hook(
      std::make_unique<AveragingHook>(impl_->group, impl_->deadline, std::move(on_bucket)));
}

void Collectives::prepare_for_backward() { impl_->reducer->prepare_for_backward({}); }

}  // namespace batch71::ddp
