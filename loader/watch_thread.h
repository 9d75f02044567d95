// The loader's watch: a thread that beats in its trace and does what is due, never late without knowing.
#pragma once

#include <atomic>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "loader/bell.h"
#include "trace/writer.h"

namespace batch71::loader {

// What the watch watches. All calls come from the watch's thread.
class WatchDuty {
 public:
  virtual ~WatchDuty() = default;
  // Descriptors that mean work when they become readable, besides the bell.
  virtual std::vector<int> descriptors() const = 0;
  // Does what is due at `now_ns` and returns when it must be called again. `paused_ns`: how much later
  // than planned this call comes, if that was no ordinary delay: a paused machine is no fault.
  virtual uint64_t act(uint64_t now_ns, uint64_t paused_ns, trace::Writer& trace) = 0;
  // The last call.
  virtual void finish(trace::Writer& trace) = 0;
};

class WatchThread {
 public:
  WatchThread(const std::string& run_folder, int rank, int world_size, std::shared_ptr<Bell> bell,
              std::shared_ptr<WatchDuty> duty);
  // At most that long; a watch that does not end by then is left to itself.
  void stop(int deadline_ms);

 private:
  struct State {
    std::string run_folder;
    trace::WriterSpec writer;
    std::shared_ptr<Bell> bell;
    std::shared_ptr<WatchDuty> duty;
    std::atomic<bool> stop{false};
    std::promise<void> ended;
  };
  static void run(State& state);

  std::shared_ptr<State> state_;
  std::future<void> ended_;
  std::thread thread_;
};

}  // namespace batch71::loader
