// Keeps the books of one worker.
#include "loader/remote_worker.h"

#include <algorithm>
#include <cstring>

#include "trace/event.h"

namespace batch71::loader {

bool is_deaf_to_sigkill(char state, uint64_t age_ns) {
  constexpr uint64_t kMs = 1'000'000;
  return age_ns > (state == 'D' ? kUnkillableAfterMs : kSlowDeathMs) * kMs;
}

void RemoteWorker::push(const Assignment& assignment, const Request& request, uint64_t now_ns) {
  if (queue_.empty()) {
    head_since_ns_ = now_ns;
    head_observed = false;
  }
  if (since_epoch_ < 0) since_epoch_ = assignment.work->epoch;
  queue_.push_back(assignment);
  mailbox_.push(pushed_++, request);
}

void RemoteWorker::check(const Assignment& assignment, Answer& answer, uint32_t sequence) const {
  answer.why.back() = '\0';
  const bool ours =
      answer.sequence == sequence && answer.generation == static_cast<uint32_t>(who_.generation);
  const bool done = answer.kind == AnswerKind::kDone && answer.frames >= 1 &&
                    answer.frames <= assignment.item().declared_frames;
  const bool skipped = answer.kind == AnswerKind::kSkipped && assignment.work->abandoned;
  const bool failed = answer.kind == AnswerKind::kFailed && answer.reason >= 1 &&
                      answer.reason <= static_cast<uint16_t>(BadItem::kTooLong);
  if (ours && (done || skipped || failed)) return;
  answer.kind = AnswerKind::kFailed;
  answer.reason = static_cast<uint16_t>(BadItem::kThrew);
  std::strcpy(answer.why.data(), "the worker's answer makes no sense");
}

std::vector<RemoteWorker::Answered> RemoteWorker::collect(uint64_t now_ns) {
  std::vector<Answered> out;
  const size_t claimed = mailbox_.answered() - collected_;
  const size_t count = std::min(claimed, queue_.size());
  for (size_t i = 0; i < count; ++i) {
    Answered answered{queue_.front(), mailbox_.answer(collected_)};
    check(answered.assignment, answered.answer, collected_);
    queue_.pop_front();
    ++collected_;
    // The next one reached the head when this one was finished: some time since the last look.
    head_since_ns_ =
        std::max(head_since_ns_, std::clamp(answered.answer.finished_ns, collected_at_ns_, now_ns));
    head_observed = false;
    out.push_back(answered);
  }
  collected_at_ns_ = now_ns;
  return out;
}

void RemoteWorker::spawned(int pid, UniqueFd pidfd, uint64_t now_ns) {
  pid_ = pid;
  pidfd_ = std::move(pidfd);
  state_ = State::kRunning;
  since_ns_ = now_ns;
  head_since_ns_ = now_ns;
}

void RemoteWorker::killed(uint64_t now_ns) {
  state_ = State::kDying;
  since_ns_ = now_ns;
}

bool RemoteWorker::writes_to(int slot) const {
  return slot == deaf_slot ||
         std::any_of(queue_.begin(), queue_.end(),
                     [slot](const Assignment& assignment) { return assignment.slot == slot; });
}

void RemoteWorker::forgive(uint64_t ns) {
  since_ns_ += ns;
  head_since_ns_ += ns;
}

}  // namespace batch71::loader
