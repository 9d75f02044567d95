// What passes between the training thread and the watch: plans one way, filled batches the other.
//
// The mutex is held for a few instructions and never across a wait, so its own wait is bounded too.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "loader/batch_work.h"
#include "loader/bell.h"
#include "loader/loader.h"

namespace batch71::loader {

struct EpochStart {
  uint64_t serial = 0;
  EpochPlan plan;
};

class Delivery {
 public:
  explicit Delivery(std::shared_ptr<Bell> bell) : bell_(std::move(bell)) {}

  // The training thread's side.
  // Returns the batches of the epoch before that nobody took.
  std::vector<BatchWork> start(EpochPlan plan);
  // Waits for the next batch. Throws LoaderFatal once the loader failed, or if the watch is silent.
  BatchWork take();

  // The watch's side.
  std::optional<EpochStart> new_epoch();
  // False if the epoch was left meanwhile: the batch is not taken.
  bool put(BatchWork& work);
  size_t size() const;
  bool is_awaited() const;
  void fail(const Fatal& fatal);
  void saw_watch(uint64_t now_ns);

 private:
  void throw_if_failed() const;

  std::shared_ptr<Bell> bell_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<BatchWork> ready_;
  std::optional<EpochStart> start_;
  uint64_t serial_ = 0;
  bool awaited_ = false;
  uint64_t watch_seen_ns_ = 0;
  std::optional<Fatal> fatal_;
};

}  // namespace batch71::loader
