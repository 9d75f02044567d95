// Writes one thread's trace file: the flight recorder's pen.
//
// For: the thread that created it, and only that one; a forked child makes its own Writer. Records
// outlive `kill -9`, since the file is a shared mapping: nothing is buffered in the process.
// Cost: `record` is one clock read and one 64-byte store: no lock, no allocation, no system call.
// `record_text` copies the text as well. Incidents are for rare events.
// Errors: creating a file never ends a trainer. Where space is refused, or is short, a smaller ring is tried, then
// a Writer without a file: `is_open()` is false, every call is a no-op, and `problem()` says why.
// Format: trace/record_abi.h.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "trace/clock.h"
#include "trace/event.h"
#include "trace/record_abi.h"

namespace batch71::trace {

struct WriterSpec {
  Role role = Role::kMain;
  int rank = -1;
  int world_size = 0;
  int worker = -1;
  int generation = 0;
  uint32_t hot_slots = 4096;  // a power of two
};

// The place of what is being worked on; repeated in every record.
struct Place {
  int32_t epoch = -1;
  int32_t batch = -1;
  int64_t index = -1;
};

class Writer {
 public:
  // A writer that writes nowhere: tracing switched off.
  Writer();
  // Creates `run_folder`/<file_name(spec)>. An empty folder gives a writer that writes nowhere.
  Writer(const std::string& run_folder, const WriterSpec& spec);
  ~Writer();
  Writer(const Writer&) = delete;  // one thread, one writer, for its whole life
  Writer& operator=(const Writer&) = delete;

  bool is_open() const { return hot_ != nullptr; }
  const std::string& problem() const { return problem_; }
  const std::string& path() const { return path_; }

  // An item or step begins here: what follows carries this place and this start.
  void begin(const Place& place) {
    place_ = place;
    item_start_ticks_ = ticks(clock_kind_);
  }
  const Place& place() const { return place_; }
  void set_index(int64_t index) { place_.index = index; }

  void record(Event event, Stage stage, int64_t arg0 = 0, int64_t arg1 = 0) {
    if (hot_ != nullptr) store_hot(event, stage, arg0, arg1, 0);
  }
  void record_text(Event event, Stage stage, std::string_view text, int64_t arg0 = 0,
                   int64_t arg1 = 0);

  // Into the incident log, at the writer's own place or at another one.
  void incident(Event event, Stage stage, std::string_view text = {}, int64_t arg0 = 0,
                int64_t arg1 = 0) {
    incident_at(place_, event, stage, text, arg0, arg1);
  }
  void incident_at(const Place& place, Event event, Stage stage, std::string_view text = {},
                   int64_t arg0 = 0, int64_t arg1 = 0);

  // The same instant on three clocks; done by itself every 1,024 records and at every incident.
  void anchor();

  // The stage of the newest hot record; what this thread is doing.
  Stage stage() const { return stage_; }

 private:
  class Mapping;

  void store_hot(Event event, Stage stage, int64_t arg0, int64_t arg1, uint32_t text) {
    const uint64_t sequence = ++hot_sequence_;
    store(hot_[(sequence - 1) & hot_mask_], sequence, place_, event, stage, arg0, arg1, text,
          item_start_ticks_);
    stage_ = stage;
    if ((sequence & 1023u) == 0) anchor();
  }
  void store(Record& slot, uint64_t sequence, const Place& place, Event event, Stage stage,
             int64_t arg0, int64_t arg1, uint32_t text, uint64_t item_start_ticks) {
    __atomic_store_n(&slot.sequence, uint64_t{0}, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    slot.ticks = ticks(clock_kind_);
    slot.item_start_ticks = item_start_ticks;
    slot.index = place.index;
    slot.arg0 = arg0;
    slot.arg1 = arg1;
    slot.epoch = place.epoch;
    slot.batch = place.batch;
    slot.event = static_cast<uint16_t>(event);
    slot.stage = static_cast<uint16_t>(stage);
    slot.text = text;
    __atomic_store_n(&slot.sequence, sequence, __ATOMIC_RELEASE);
  }

  Record* hot_ = nullptr;
  uint64_t hot_mask_ = 0;
  uint64_t hot_sequence_ = 0;
  ClockKind clock_kind_ = ClockKind::kMonotonic;
  Stage stage_ = Stage::kNone;
  Place place_;
  uint64_t item_start_ticks_ = 0;
  std::unique_ptr<Mapping> mapping_;
  std::string problem_;
  std::string path_;
};

// "rank1.main.b71", "rank1.worker0.g2.b71", "launch.b71", ...
std::string file_name(const WriterSpec& spec);

}  // namespace batch71::trace
