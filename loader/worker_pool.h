// The worker pool: dispatch, deadlines, replacement, completion. The one owner of its states.
//
// The drawings of docs/worker-pool.md are the specification. Made by the training thread (it forks the
// zygote), then used by the watch alone. Never waits.
#pragma once

#include <deque>
#include <list>
#include <memory>
#include <optional>
#include <vector>

#include "loader/loader_parts.h"
#include "loader/mailboxes.h"
#include "loader/observer.h"
#include "loader/remote_worker.h"
#include "loader/watch_thread.h"
#include "loader/zygote_link.h"

namespace batch71::loader {

inline constexpr uint32_t kQueueDepth = 8;  // items given to a worker at a time
// Of one worker and its replacements, with no sample finished in between: a crash loop. The first death
// and three replacements: with two workers that is less than a batch of eight.
inline constexpr int kCrashLoopDeaths = 4;
// For the zygote to answer a spawn, or to report an end.
inline constexpr uint64_t kLeastZygotePatienceMs = 500;
inline constexpr uint64_t kMostZygotePatienceMs = 5'000;
static_assert(kQueueDepth <= kMailboxDepth);

class WorkerPool : public WatchDuty {
 public:
  explicit WorkerPool(std::shared_ptr<LoaderParts> parts);

  std::vector<int> descriptors() const override;
  uint64_t act(uint64_t now_ns, uint64_t paused_ns, trace::Writer& trace) override;
  void finish(trace::Writer& trace) override;

 private:
  using Workers = std::vector<std::unique_ptr<RemoteWorker>>;
  // An item that waits for a worker.
  struct Waiting {
    BatchWork* work = nullptr;
    size_t position = 0;
  };

  // Epochs (worker_pool_epoch.cc).
  void start_epoch(EpochStart start, uint64_t now_ns);
  void abandon_epoch();
  void begin_batches();
  void dispatch(uint64_t now_ns);
  RemoteWorker* least_busy();
  void deliver();
  void check_starved(uint64_t now_ns);

  // Answers and ends of items (worker_pool_items.cc).
  void collect(RemoteWorker& worker, uint64_t now_ns);
  void take_answer(RemoteWorker& worker, const Assignment& assignment, const Answer& answer);
  void end_as_dummy(const Assignment& assignment, const BadNews& news);
  void end_quietly(const Assignment& assignment);
  void give_again(std::deque<Assignment> assignments);
  void free_abandoned();
  bool is_written_to(int slot) const;
  void move_to_spare(BatchWork& work);
  void end_quarantines();

  // Workers (worker_pool_workers.cc).
  void spawn_first(uint64_t now_ns);
  void spawn(int worker, int generation, uint64_t now_ns);
  void replace(RemoteWorker& former, uint64_t now_ns);
  void retire_all(uint64_t now_ns);
  void hear_zygote(uint64_t now_ns);
  void on_spawned(ZygoteEvent& event, uint64_t now_ns);
  void on_exited(const ZygoteReport& report, uint64_t now_ns);
  void report_exit(const RemoteWorker& worker, const trace::Place& place, int wait_status);
  void count_death(const RemoteWorker& worker, const trace::Place& place, int wait_status);
  void keep_newest_trace(const RemoteWorker& retired);
  void check_workers(uint64_t now_ns);
  void check_zygote(uint64_t now_ns);
  void zygote_is_lost(const std::string& how);
  uint64_t zygote_patience_ns() const;
  void check_heads(uint64_t now_ns);
  void kill_stuck(RemoteWorker& worker, uint64_t now_ns);
  void check_dying(uint64_t now_ns);
  void on_deaf(RemoteWorker& worker);
  Suspect suspect(const RemoteWorker& worker) const;
  uint64_t next_due(uint64_t now_ns);
  bool set_wake_marks();

  void fatal(ExitCode code, const std::string& why);
  void lost(const std::string& what);

  const Guards& guards() const { return parts_->spec.config.guards; }
  const TrainDs& train_ds() const { return parts_->spec.config.train_ds; }

  std::shared_ptr<LoaderParts> parts_;
  Mailboxes mailboxes_;
  ZygoteLink zygote_;
  trace::Writer* trace_ = nullptr;  // the watch's, during a call

  Workers workers_;  // one per num_workers
  Workers dying_;
  int respawns_ = 0;
  bool has_acted_ = false;
  bool has_lost_zygote_ = false;
  std::vector<int> deaths_in_a_row_;         // by worker: by itself, since it last finished an item
  std::vector<std::string> retired_traces_;  // by worker: of the last one that its epoch used up

  uint64_t serial_ = 0;
  EpochPlan plan_;
  size_t next_batch_ = 0;
  std::list<BatchWork> filling_;    // in plan order
  std::list<BatchWork> abandoned_;  // of epochs that were left, until no worker is on them
  std::deque<Waiting> waiting_;
  std::vector<int> quarantined_;   // slots that a worker deaf to SIGKILL may write to
  uint64_t starved_since_ns_ = 0;  // 0: not starved
};

}  // namespace batch71::loader
