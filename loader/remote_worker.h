// One worker as its rank sees it: what it was given, what it answered, how old its head item is.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "loader/batch_work.h"
#include "loader/mailbox.h"
#include "loader/unique_fd.h"
#include "loader/zygote.h"
#include "trace/writer.h"

namespace batch71::loader {

inline constexpr uint64_t kUnkillableAfterMs = 200;
inline constexpr uint64_t kSlowDeathMs = 5'000;
// Of a living process so long after its SIGKILL: in a sleep that nothing ends (state D), or there at all for
// too long. In any other state it is on its way out; on a loaded machine, or with much memory, that takes time.
bool is_deaf_to_sigkill(char state, uint64_t age_ns);

// An item in a mailbox.
struct Assignment {
  BatchWork* work = nullptr;
  size_t position = 0;
  int slot = -1;  // where the worker writes; the batch may have moved since
  const Item& item() const { return work->items[position]; }
  trace::Place place() const { return {work->epoch, work->batch, item().index}; }
};

class RemoteWorker {
 public:
  enum class State { kAsked, kRunning, kDying };

  RemoteWorker(const SpawnRequest& who, Mailbox& mailbox, uint64_t now_ns)
      : who_(who), mailbox_(mailbox), since_ns_(now_ns) {}

  struct Answered {
    Assignment assignment;
    Answer answer;
  };

  void push(const Assignment& assignment, const Request& request, uint64_t now_ns);
  // What it answered since; answers that do not fit what was asked come as failed.
  std::vector<Answered> collect(uint64_t now_ns);
  void spawned(int pid, UniqueFd pidfd, uint64_t now_ns);
  void killed(uint64_t now_ns);
  // The watch was paused: nothing gets older by that.
  void forgive(uint64_t ns);

  // worker * 65536 + generation, as in the trace.
  int64_t code() const { return int64_t{who_.worker} * 65536 + who_.generation; }
  const SpawnRequest& who() const { return who_; }
  Mailbox& mailbox() { return mailbox_; }
  State state() const { return state_; }
  uint64_t since_ns() const { return since_ns_; }  // in this state
  int pid() const { return pid_; }
  int pidfd() const { return pidfd_.get(); }
  const std::deque<Assignment>& queue() const { return queue_; }
  std::deque<Assignment> take_queue() { return std::move(queue_); }
  // False: it had not begun with the item at the head, which can do nothing for its worker's end.
  bool head_is_begun() const { return static_cast<int32_t>(mailbox_.taken() - collected_) > 0; }
  // When the item at the head got there.
  uint64_t head_since_ns() const { return head_since_ns_; }
  uint32_t collected() const { return collected_; }
  bool writes_to(int slot) const;
  // Of the first item that it was given; -1: none yet.
  int32_t since_epoch() const { return since_epoch_; }

  bool head_observed = false;  // written down once
  bool is_expected = false;    // its end was wished for: no replacement, no report
  bool has_failed = false;     // at an item: its trace is evidence
  bool head_is_stuck = false;  // why it was killed
  bool is_deaf = false;        // outlived SIGKILL; its items are ended or others'
  int deaf_slot = -1;          // that it may still write to
  trace::Place deaf_place;
  trace::Stage stuck_stage = trace::Stage::kNone;

 private:
  void check(const Assignment& assignment, Answer& answer, uint32_t sequence) const;

  SpawnRequest who_;
  Mailbox& mailbox_;
  State state_ = State::kAsked;
  uint64_t since_ns_;
  int pid_ = 0;
  UniqueFd pidfd_;
  std::deque<Assignment> queue_;
  uint32_t pushed_ = 0;
  uint32_t collected_ = 0;
  uint64_t collected_at_ns_ = 0;
  uint64_t head_since_ns_ = 0;
  int32_t since_epoch_ = -1;
};

}  // namespace batch71::loader
