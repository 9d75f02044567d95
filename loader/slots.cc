// Takes and gives slots.
#include "loader/slots.h"

#include <unistd.h>

#include <boost/interprocess/anonymous_shared_memory.hpp>
#include <fstream>
#include <string>

#include "trace/errors.h"

namespace batch71::loader {
namespace {

size_t page_aligned(size_t bytes) {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return (bytes + page - 1) / page * page;
}

size_t available_bytes() {
  std::ifstream file("/proc/meminfo");
  for (std::string key, unit; file >> key;) {
    size_t kilobytes = 0;
    file >> kilobytes;
    if (key == "MemAvailable:") return kilobytes * 1024;
    std::getline(file, unit);
  }
  return SIZE_MAX;
}

size_t checked_total(size_t slots, size_t slot_bytes) {
  const size_t total = slots * slot_bytes;
  if (total > available_bytes()) {
    throw UsageError(
        "the batches in flight need " + std::to_string(total >> 20) +
        " MB of memory, more than there is; lower batch_size, max_duration or prefetch_factor");
  }
  return total;
}

}  // namespace

Slots::Slots(int in_flight, size_t slot_bytes, std::shared_ptr<Bell> bell)
    : slot_bytes_(page_aligned(slot_bytes)),
      taken_(static_cast<size_t>(in_flight + kUserSlots + kSpareSlots)),
      free_(in_flight + kUserSlots + kSpareSlots),
      bell_(std::move(bell)) {
  arena_ = boost::interprocess::anonymous_shared_memory(checked_total(taken_.size(), slot_bytes_));
}

int Slots::find_free() const {
  for (size_t slot = 0; slot < taken_.size(); ++slot) {
    if (!taken_[slot].load(std::memory_order_acquire)) return static_cast<int>(slot);
  }
  return -1;
}

int Slots::take() {
  if (free_.load() <= spares_) return -1;
  const int slot = find_free();
  if (slot < 0) return -1;
  taken_[static_cast<size_t>(slot)].store(true, std::memory_order_relaxed);
  --free_;
  return slot;
}

int Slots::take_spare() {
  if (spares_ == 0) return -1;
  --spares_;
  return take();
}

void Slots::end_quarantine(int slot) {
  ++spares_;
  give_back(slot);
}

void Slots::give_back(int slot) {
  taken_[static_cast<size_t>(slot)].store(false, std::memory_order_release);
  {
    const std::lock_guard lock(mutex_);
    ++free_;
  }
  given_back_.notify_all();
  bell_->ring();
}

int Slots::take_within(std::chrono::nanoseconds span) {
  {
    std::unique_lock lock(mutex_);
    given_back_.wait_for(lock, span, [this] { return free_.load() > spares_; });
  }
  return take();
}

float* Slots::data(int slot) const {
  auto* start = static_cast<char*>(arena_.get_address());
  return reinterpret_cast<float*>(start + static_cast<size_t>(slot) * slot_bytes_);
}

}  // namespace batch71::loader
