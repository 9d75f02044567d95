// Futexes between processes; no other wait.
#include "loader/mailbox.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <ctime>

namespace batch71::loader {
namespace {

static_assert(sizeof(std::atomic<uint32_t>) == sizeof(uint32_t), "a futex word");
static_assert(std::atomic<uint64_t>::is_always_lock_free);

void futex_wait(std::atomic<uint32_t>& word, uint32_t seen, int timeout_ms) {
  const timespec timeout{timeout_ms / 1000, (timeout_ms % 1000) * 1'000'000L};
  syscall(SYS_futex, &word, FUTEX_WAIT, seen, &timeout, nullptr, 0);
}
void futex_wake(std::atomic<uint32_t>& word) {
  syscall(SYS_futex, &word, FUTEX_WAKE, 1, nullptr, nullptr, 0);
}

}  // namespace

void Mailbox::clear() {
  requested_ = 0;
  wake_at_ = 0;
  live_serial_ = 0;
  answered_ = 0;
  sleeping_ = 0;
  taken_ = 0;
}

void Mailbox::push(uint32_t sequence, const Request& request) {
  requests_[sequence % kMailboxDepth] = request;
  // Sequentially consistent, as is the worker's look at the count after it set `sleeping_`: one of the
  // two always sees the other.
  requested_.store(sequence + 1);
  if (sleeping_.load() != 0) futex_wake(requested_);
}

bool Mailbox::wake_at(uint32_t answers) {
  wake_at_.store(answers);
  return static_cast<int32_t>(answered_.load() - answers) >= 0;
}

std::optional<Request> Mailbox::take(uint32_t sequence, int timeout_ms) {
  if (!has(sequence)) {
    sleeping_.store(1);
    const uint32_t seen = requested_.load();
    if (static_cast<int32_t>(seen - sequence) <= 0) futex_wait(requested_, seen, timeout_ms);
    sleeping_.store(0);
    if (!has(sequence)) return std::nullopt;
  }
  taken_.store(sequence + 1, std::memory_order_release);
  return requests_[sequence % kMailboxDepth];
}

void Mailbox::put(const Answer& answer, const Bell& bell) {
  answers_[answer.sequence % kMailboxDepth] = answer;
  answered_.store(answer.sequence + 1);
  if (wake_at_.load() == answer.sequence + 1) bell.ring();
}

}  // namespace batch71::loader
