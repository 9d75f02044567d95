// A worker's mailbox: requests from the rank, answers from the worker, in shared anonymous memory.
//
// Two rings with one writer each and no lock: a killed worker can hold nothing. Counts only grow (and
// wrap at 2^32); entry n of a ring is at n mod kMailboxDepth. What the worker wrote is not believed.
// Waking: the worker sleeps on `requested` with a futex; the rank's watch is rung only when `answered`
// reaches `wake_at`, so most items cost no system call at all.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>

#include "loader/bell.h"

namespace batch71::loader {

inline constexpr uint32_t kMailboxDepth = 16;

struct Request {
  uint64_t serial = 0;  // which start_epoch it belongs to
  int64_t index = -1;
  int32_t epoch = 0;
  int32_t batch = 0;
  uint64_t data_offset = 0;  // of the item's features from the arena's start, in floats
  int64_t frames = 0;        // declared: what fits
  int64_t row_stride = 0;
};

enum class AnswerKind : uint16_t { kDone = 1, kFailed = 2, kSkipped = 3 };

struct Answer {
  uint32_t sequence = 0;    // of the request
  uint32_t generation = 0;  // of the worker
  uint64_t finished_ns = 0;
  int64_t frames = 0;
  AnswerKind kind{};
  uint16_t reason = 0;  // BadItem
  uint16_t stage = 0;   // trace::Stage in which it failed
  std::array<char, 300> why{};
};

class Mailbox {
 public:
  // The rank's side.
  void clear();
  void push(uint32_t sequence, const Request& request);
  uint32_t answered() const { return answered_.load(std::memory_order_acquire); }
  Answer answer(uint32_t sequence) const { return answers_[sequence % kMailboxDepth]; }
  // Rings when that many answers are there. True if they are already.
  bool wake_at(uint32_t answers);
  // How many requests its worker has begun with, as it says itself.
  uint32_t taken() const { return taken_.load(std::memory_order_acquire); }
  // Requests of other epochs need not be worked on.
  void set_live_serial(uint64_t serial) { live_serial_.store(serial, std::memory_order_relaxed); }

  // The worker's side.
  // The request with that number; waits for it at most `timeout_ms`.
  std::optional<Request> take(uint32_t sequence, int timeout_ms);
  bool has(uint32_t sequence) const {
    return static_cast<int32_t>(requested_.load(std::memory_order_acquire) - sequence) > 0;
  }
  bool is_live(const Request& request) const {
    return request.serial == live_serial_.load(std::memory_order_relaxed);
  }
  void put(const Answer& answer, const Bell& bell);

 private:
  alignas(64) std::atomic<uint32_t> requested_;
  std::atomic<uint32_t> wake_at_;
  std::atomic<uint64_t> live_serial_;
  std::array<Request, kMailboxDepth> requests_;
  alignas(64) std::atomic<uint32_t> answered_;
  std::atomic<uint32_t> sleeping_;
  std::atomic<uint32_t> taken_;
  std::array<Answer, kMailboxDepth> answers_;
};

}  // namespace batch71::loader
