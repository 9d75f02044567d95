// Ends of items: answered, stuck, lost; and the slots that this frees or quarantines.
#include <algorithm>
#include <cstring>

#include "loader/worker_pool.h"

namespace batch71::loader {

void WorkerPool::collect(RemoteWorker& worker, uint64_t now_ns) {
  for (const RemoteWorker::Answered& answered : worker.collect(now_ns)) {
    deaths_in_a_row_[static_cast<size_t>(worker.who().worker)] = 0;
    take_answer(worker, answered.assignment, answered.answer);
  }
}

void WorkerPool::take_answer(RemoteWorker& worker, const Assignment& assignment,
                             const Answer& answer) {
  BatchWork& work = *assignment.work;
  if (work.abandoned) {
    end_quietly(assignment);
    return;
  }
  if (answer.kind != AnswerKind::kDone) {
    worker.has_failed = true;
    BadNews news;
    news.reason = static_cast<BadItem>(answer.reason);
    news.why = answer.why.data();
    news.stage = static_cast<trace::Stage>(answer.stage);
    news.worker_code = worker.code();
    news.worker_since_epoch = worker.since_epoch();
    end_as_dummy(assignment, news);
    return;
  }
  if (assignment.slot != work.slot) {
    // The batch moved to a spare while this item was worked on: the only copy there is.
    const FeatureView from =
        parts_->shape.view(parts_->slots->data(assignment.slot), work, assignment.position);
    const FeatureView to =
        parts_->shape.view(parts_->slots->data(work.slot), work, assignment.position);
    std::copy_n(from.data, from.channels * from.row_stride, to.data);
  }
  Item& item = work.items[assignment.position];
  item.frames = answer.frames;
  item.state = ItemState::kDecoded;
  --work.unfinished;
}

void WorkerPool::end_as_dummy(const Assignment& assignment, const BadNews& news) {
  if (assignment.work->abandoned) {
    end_quietly(assignment);
    return;
  }
  parts_->dummies.make(*assignment.work, assignment.position, news, *trace_);
  if (guards().on_bad_item == OnBadItem::kRethrow) {
    fatal(ExitCode::kErrorBudgetSpent, "item " + std::to_string(assignment.item().index) +
                                           " is bad (" + std::string(name(news.reason)) + ": " +
                                           news.why + ") and on_bad_item is rethrow");
  }
}

void WorkerPool::end_quietly(const Assignment& assignment) {
  assignment.work->items[assignment.position].state = ItemState::kDummy;
  --assignment.work->unfinished;
}

// Back to the front of those that wait, in their old order.
void WorkerPool::give_again(std::deque<Assignment> assignments) {
  for (auto it = assignments.rbegin(); it != assignments.rend(); ++it) {
    if (it->work->abandoned) {
      end_quietly(*it);
      continue;
    }
    it->work->items[it->position].state = ItemState::kWaiting;
    waiting_.push_front({it->work, it->position});
  }
}

void WorkerPool::free_abandoned() {
  abandoned_.remove_if([this](const BatchWork& work) {
    if (work.unfinished != 0 || is_written_to(work.slot)) return false;
    parts_->slots->give_back(work.slot);
    return true;
  });
}

// By a worker of the pool, or by one that is deaf to SIGKILL.
bool WorkerPool::is_written_to(int slot) const {
  const auto writes_there = [slot](const auto& worker) { return worker->writes_to(slot); };
  return std::any_of(workers_.begin(), workers_.end(), writes_there) ||
         std::any_of(dying_.begin(), dying_.end(), writes_there);
}

// Takes the items that are decoded along; those that other workers are on follow when they answer.
void WorkerPool::move_to_spare(BatchWork& work) {
  const int spare = parts_->slots->take_spare();
  if (spare < 0) {
    lost("workers: more of them are deaf to SIGKILL than the loader has spares for");
    fatal(ExitCode::kItemStuck, "several workers are deaf to SIGKILL: no spare is left");
    return;
  }
  std::memcpy(parts_->slots->data(spare), parts_->slots->data(work.slot),
              parts_->slots->slot_bytes());
  quarantined_.push_back(work.slot);
  work.slot = spare;
}

void WorkerPool::end_quarantines() {
  std::erase_if(quarantined_, [this](int slot) {
    if (is_written_to(slot)) return false;
    parts_->slots->end_quarantine(slot);
    return true;
  });
}

}  // namespace batch71::loader
