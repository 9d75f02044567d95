// What differs between libtorch 1.13 and 2.15, for collectives.cc alone: it pulls in the heavy headers.
//
// Another difference is outside of C++: TCPStores of 1 and 2 do not understand each other.
#pragma once

#include <torch/version.h>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/reducer.hpp>

#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace batch71::ddp {

using Group = c10::intrusive_ptr<c10d::ProcessGroup>;

// "1.13"
inline std::string libtorch_version() {
  return std::to_string(TORCH_VERSION_MAJOR) + "." + std::to_string(TORCH_VERSION_MINOR);
}

// In 1.13 Gloo's is a ProcessGroup; in 2 it is the backend of one.
inline Group to_group(c10::intrusive_ptr<c10d::ProcessGroupGloo> gloo) {
#if TORCH_VERSION_MAJOR < 2
  return gloo;
#else
  using Type = c10d::ProcessGroup::BackendType;
  auto group = c10::make_intrusive<c10d::ProcessGroup>(gloo->getRank(), gloo->getSize());
  group->setBackend(c10::DeviceType::CPU, Type::GLOO, std::move(gloo));
  group->setDefaultBackend(Type::GLOO);
  return group;
#endif
}

// A Reducer of these parameters with DDP's usual settings.
inline std::unique_ptr<c10d::Reducer> make_reducer(const std::vector<at::Tensor>& parameters,
                                                   const Group& group) {
  const std::vector<size_t> limits{c10d::kDefaultFirstBucketBytes, c10d::kDefaultBucketBytesCap};
  auto [buckets, bucket_limits] = c10d::compute_bucket_assignment_by_size(parameters, limits);
  return std::make_unique<c10d::Reducer>(
      parameters, std::move(buckets),
#if TORCH_VERSION_MAJOR < 2
      std::move(bucket_limits),
#endif
      group, std::vector<bool>(parameters.size(), false), c10d::kDefaultBucketBytesCap,
      /*find_unused_parameters=*/false, /*gradient_as_bucket_view=*/false,
      std::unordered_map<size_t, std::string>{}, c10d::kDefaultFirstBucketBytes
#if TORCH_VERSION_MAJOR >= 2
      ,
      /*skip_all_reduce_unused_params=*/false, /*use_python_reducer=*/false,
      /*bucket_bytes_cap_list=*/std::vector<int64_t>{}
#endif
  );
}

}  // namespace batch71::ddp
