// Passes plans and batches on.
#include "loader/delivery.h"

#include "trace/clock.h"

namespace batch71::loader {
namespace {

constexpr std::chrono::milliseconds kLookAgain{100};
// The watch beats ten times a second; on_fatal, which it calls, may take its time.
constexpr uint64_t kWatchSilentNs = 60'000'000'000;

}  // namespace

std::vector<BatchWork> Delivery::start(EpochPlan plan) {
  std::vector<BatchWork> left;
  {
    const std::lock_guard lock(mutex_);
    for (BatchWork& work : ready_) left.push_back(std::move(work));
    ready_.clear();
    start_ = EpochStart{++serial_, std::move(plan)};
    watch_seen_ns_ = trace::monotonic_ns();
  }
  bell_->ring();
  return left;
}

void Delivery::throw_if_failed() const {
  if (fatal_) throw LoaderFatal(*fatal_);
  if (trace::monotonic_ns() > watch_seen_ns_ + kWatchSilentNs) {
    throw LoaderFatal({ExitCode::kFailure, "the loader's watch is silent"});
  }
}

BatchWork Delivery::take() {
  std::unique_lock lock(mutex_);
  while (ready_.empty()) {
    throw_if_failed();
    awaited_ = true;
    lock.unlock();
    bell_->ring();
    lock.lock();
    changed_.wait_for(lock, kLookAgain, [this] { return !ready_.empty() || fatal_; });
  }
  awaited_ = false;
  BatchWork work = std::move(ready_.front());
  ready_.pop_front();
  lock.unlock();
  bell_->ring();  // there is room for another
  return work;
}

std::optional<EpochStart> Delivery::new_epoch() {
  const std::lock_guard lock(mutex_);
  return std::exchange(start_, std::nullopt);
}

bool Delivery::put(BatchWork& work) {
  const std::lock_guard lock(mutex_);
  if (work.serial != serial_) return false;
  ready_.push_back(std::move(work));
  changed_.notify_one();
  return true;
}

size_t Delivery::size() const {
  const std::lock_guard lock(mutex_);
  return ready_.size();
}

bool Delivery::is_awaited() const {
  const std::lock_guard lock(mutex_);
  return awaited_ && ready_.empty();
}

void Delivery::fail(const Fatal& fatal) {
  const std::lock_guard lock(mutex_);
  if (!fatal_) fatal_ = fatal;
  changed_.notify_one();
}

void Delivery::saw_watch(uint64_t now_ns) {
  const std::lock_guard lock(mutex_);
  watch_seen_ns_ = now_ns;
}

}  // namespace batch71::loader
