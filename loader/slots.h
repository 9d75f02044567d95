// The arena and the states of its slots: shared memory for the features of batches.
//
// One anonymous page-aligned mapping, made before the zygote is forked. A slot holds one batch. States:
// docs/worker-pool.md. `give_back` may be called by any thread of the rank; everything else belongs
// to the one thread that fills batches. Outlives the loader while tensors over it do.
#pragma once

#include <atomic>
#include <boost/interprocess/mapped_region.hpp>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <vector>

#include "loader/bell.h"

namespace batch71::loader {

inline constexpr int kUserSlots = 2;   // batches that the user may keep besides those in flight
inline constexpr int kSpareSlots = 2;  // stand in for quarantined ones

class Slots {
 public:
  // Room for `in_flight` batches, the user's and the spares. UsageError if memory cannot hold them.
  Slots(int in_flight, size_t slot_bytes, std::shared_ptr<Bell> bell);

  // A free slot, now filling; -1 if the user keeps all but the spares.
  int take();
  // A spare in the place of a slot that is quarantined from now on; -1 if the spares are spent.
  int take_spare();
  void end_quarantine(int slot);
  void give_back(int slot);
  // As `take`, but waits until one is given back, at most that long.
  int take_within(std::chrono::nanoseconds span);

  float* data(int slot) const;
  size_t slot_bytes() const { return slot_bytes_; }

 private:
  int find_free() const;

  size_t slot_bytes_;
  boost::interprocess::mapped_region arena_;
  std::vector<std::atomic<bool>> taken_;
  std::atomic<int> free_;
  std::mutex mutex_;  // of `given_back_`; held for a few instructions
  std::condition_variable given_back_;
  int spares_ = kSpareSlots;
  std::shared_ptr<Bell> bell_;
};

}  // namespace batch71::loader
