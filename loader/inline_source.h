// Batches from the training thread itself (num_workers: 0); the watch only holds the deadline.
//
// A stuck item cannot be taken back from the thread that is on it: past its deadline the watch writes down
// what it sees and reports kItemStuck through on_fatal, bounded, while the thread is still inside.
#pragma once

#include <memory>
#include <mutex>
#include <optional>

#include "loader/batch_source.h"
#include "loader/item_work.h"
#include "loader/loader_parts.h"
#include "loader/watch_thread.h"

namespace batch71::loader {

// What the training thread works on, for the watch. The mutex is held for a few instructions.
class CurrentItem {
 public:
  struct Value {
    trace::Place place;
    uint64_t since_ns = 0;
  };
  void set(const trace::Place& place);
  void clear();
  // A paused machine is no fault.
  void forgive(uint64_t ns);
  std::optional<Value> get() const;

 private:
  mutable std::mutex mutex_;
  std::optional<Value> value_;
};

class InlineWatch : public WatchDuty {
 public:
  InlineWatch(std::shared_ptr<LoaderParts> parts, std::shared_ptr<CurrentItem> current,
              std::string main_trace_path)
      : parts_(std::move(parts)),
        current_(std::move(current)),
        main_trace_path_(std::move(main_trace_path)) {}

  std::vector<int> descriptors() const override { return {}; }
  uint64_t act(uint64_t now_ns, uint64_t paused_ns, trace::Writer& trace) override;
  void finish(trace::Writer& /*trace*/) override {}

 private:
  void observe_main(const CurrentItem::Value& item, trace::Writer& trace);

  std::shared_ptr<LoaderParts> parts_;
  std::shared_ptr<CurrentItem> current_;
  std::string main_trace_path_;
  uint64_t observed_since_ns_ = 0;  // the item that was written down already
};

class InlineSource : public BatchSource {
 public:
  InlineSource(std::shared_ptr<LoaderParts> parts, trace::Writer& trace);
  ~InlineSource() override { watch_.stop(parts_->spec.config.guards.shutdown_deadline_ms); }

  void start_epoch(EpochPlan plan) override;
  BatchWork take() override;

 private:
  int take_slot();
  void work_on(BatchWork& work, size_t position);
  [[noreturn]] void fatal(ExitCode code, const std::string& why);

  std::shared_ptr<LoaderParts> parts_;
  trace::Writer& trace_;
  std::unique_ptr<NoiseMixer> noise_;  // nullptr: none
  ItemWork item_work_;
  std::shared_ptr<CurrentItem> current_;
  WatchThread watch_;
  EpochPlan plan_;
  size_t next_batch_ = 0;
};

}  // namespace batch71::loader
