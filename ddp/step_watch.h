// The thread that holds a rank's steps and collectives against deadlines, and the one way out.
//
// A rank that stands in a collective is a witness, not a culprit. So the watch, once anything is wrong
// here or at a peer, writes down what it sees (symptom, observations of the silent), gives the others
// `verdict_grace_ms`, and lets the lowest rank that still beats speak: it asks `on_stuck` for the
// verdict and publishes it in its trace; the others repeat it. Then the process ends by _exit, though
// main may be inside backward(): that closes the socket at which the worker zygote ends itself.
//
//   watching --(own deadline, failed collective, fatal, peer's word or death)--> symptom written
//   --(all have spoken, or grace over)--> verdict published or heard --> ending written, _exit
//
// Threads: `enter`, `symptom`, `leave` and `done` from the training thread, `fatal` from any.
// Time: a pause of the whole rank (debugger, SIGSTOP, suspended machine) moves deadlines along.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "ddp/environment.h"
#include "ddp/peers.h"
#include "loader/config.h"
#include "trace/event.h"
#include "trace/exit_code.h"
#include "trace/writer.h"

namespace batch71::ddp {

class StepWatch {
 public:
  struct Seams {
    std::function<std::string(const std::string& run_folder)> on_stuck;  // may be empty
    std::function<bool()> stop_requested;                                // may be empty
  };
  StepWatch(const Environment& env, const loader::Guards& guards, Seams seams);
  ~StepWatch();  // bounded: the thread wakes at once
  StepWatch(const StepWatch&) = delete;
  StepWatch& operator=(const StepWatch&) = delete;

  // Main enters a stage; what is held against a deadline is the time spent in it.
  void enter(trace::Stage stage, const trace::Place& place);
  // Main saw a collective fail: somebody else may be to blame.
  [[noreturn]] void symptom(trace::Stage stage, const std::string& what);
  // The rank ends with this code, for a reason of its own or one that all ranks agreed on.
  [[noreturn]] void leave(ExitCode code, const std::string& why);
  // The same from any thread. Returns; the process ends soon.
  void fatal(ExitCode code, const std::string& why);
  // All ranks have their first batch: collectives have their own deadline from now on.
  void under_way();
  // The job is done: from now on the others may go.
  void done();

 private:
  struct Trouble {
    ExitCode code{};
    trace::Stage stage{};
    std::string why;
  };
  struct MainState {
    trace::Stage stage = trace::Stage::kSetup;
    trace::Place place;
    uint64_t since_ns = 0;
    bool observed_early = false;

    uint64_t age_ms() const;
  };

  void run();
  bool beat();
  void check_main();
  void check_others();
  void raise(const Trouble& trouble);
  std::optional<Trouble> trouble();
  MainState main_state();
  std::optional<int> limit_ms(trace::Stage stage);
  void observe(int rank, int pid, trace::Stage stage, const trace::Place& place);
  void observe_suspects();
  void look_again();
  std::string own_verdict();
  std::string agreed_verdict();
  [[noreturn]] void end(const Trouble& trouble);

  const Environment env_;
  const loader::Guards guards_;
  const Seams seams_;

  std::mutex mutex_;
  std::condition_variable wake_;
  bool stop_ = false;
  bool is_under_way_ = false;
  bool is_done_ = false;
  std::optional<Trouble> trouble_;
  MainState main_;

  // Of the watch thread alone:
  Peers peers_;
  trace::Writer* trace_ = nullptr;

  std::thread thread_;  // last: everything above is there before it runs
};

}  // namespace batch71::ddp
