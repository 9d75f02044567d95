// Epochs and batches of the pool: begun in plan order, given to workers, delivered in plan order.
#include <algorithm>

#include "loader/worker_pool.h"

namespace batch71::loader {

void WorkerPool::start_epoch(EpochStart start, uint64_t now_ns) {
  abandon_epoch();
  const bool is_first = serial_ == 0;
  serial_ = start.serial;
  plan_ = std::move(start.plan);
  next_batch_ = plan_.first_batch;
  starved_since_ns_ = 0;
  if (!is_first && !train_ds().persistent_workers) retire_all(now_ns);
  if (parts_->failed) return;
  for (const auto& worker : workers_) worker->mailbox().set_live_serial(serial_);
}

void WorkerPool::abandon_epoch() {
  for (BatchWork& work : filling_) work.abandoned = true;
  for (const Waiting& waiting : waiting_) end_quietly({waiting.work, waiting.position});
  waiting_.clear();
  abandoned_.splice(abandoned_.end(), filling_);
}

void WorkerPool::begin_batches() {
  const auto limit = static_cast<size_t>(parts_->batches_in_flight());
  while (next_batch_ < plan_.batches.size() && filling_.size() + parts_->delivery.size() < limit) {
    const int slot = parts_->slots->take();
    if (slot < 0) return;
    filling_.push_back(parts_->shape.begin(plan_.epoch, static_cast<int32_t>(next_batch_),
                                           plan_.batches[next_batch_]));
    BatchWork& work = filling_.back();
    work.serial = serial_;
    work.slot = slot;
    for (size_t position = 0; position < work.items.size(); ++position) {
      waiting_.push_back({&work, position});
    }
    ++next_batch_;
  }
}

RemoteWorker* WorkerPool::least_busy() {
  const auto found = std::min_element(
      workers_.begin(), workers_.end(),
      [](const auto& a, const auto& b) { return a->queue().size() < b->queue().size(); });
  return (*found)->queue().size() < kQueueDepth ? found->get() : nullptr;
}

void WorkerPool::dispatch(uint64_t now_ns) {
  while (!waiting_.empty() && !parts_->failed) {
    RemoteWorker* worker = least_busy();
    if (worker == nullptr) return;
    const auto [work, position] = waiting_.front();
    waiting_.pop_front();
    Item& item = work->items[position];
    item.state = ItemState::kQueued;
    const FeatureView view = parts_->shape.view(parts_->slots->data(work->slot), *work, position);
    Request request;
    request.serial = work->serial;
    request.index = item.index;
    request.epoch = work->epoch;
    request.batch = work->batch;
    request.data_offset = static_cast<uint64_t>(view.data - parts_->slots->data(0));
    request.frames = item.declared_frames;
    request.row_stride = view.row_stride;
    worker->push({work, position, work->slot}, request, now_ns);
  }
}

void WorkerPool::deliver() {
  while (!filling_.empty() && filling_.front().unfinished == 0) {
    BatchWork& work = filling_.front();
    const int slot = work.slot;
    std::sort(work.dummies.begin(), work.dummies.end(),
              [](const DummyItem& a, const DummyItem& b) { return a.position < b.position; });
    if (!parts_->delivery.put(work)) parts_->slots->give_back(slot);
    filling_.pop_front();
  }
}

void WorkerPool::check_starved(uint64_t now_ns) {
  const bool starved = filling_.empty() && next_batch_ < plan_.batches.size() &&
                       parts_->delivery.is_awaited() && !parts_->failed;
  if (!starved) {
    starved_since_ns_ = 0;
  } else if (starved_since_ns_ == 0) {
    starved_since_ns_ = now_ns;
  } else if (now_ns >= starved_since_ns_ + parts_->item_deadline_ns()) {
    lost("slots: every slot for a batch is kept by the program");
    fatal(ExitCode::kFailure,
          "starved: the program keeps every batch that it was given; let go of their tensors");
  }
}

}  // namespace batch71::loader
