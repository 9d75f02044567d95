// The thread that holds a rank's steps and collectives against deadlines, and the one way out.
//
// A rank that stands in a collective is a witness, not a culprit. So the watch, once anything is wrong
// here or at a peer, writes down what it sees (symptom, observations of the silent), gives the others
// `verdict_grace_ms`, and lets the lowest rank that still beats speak: it asks `on_stuck` for the
// verdict and publishes it in its trace; the others repeat it. Then the process ends by _exit, though
// main may be inside backward(). Ranks see each other through their trace files in the run folder.
//
// Threads: `enter` and `symptom` from the training thread, `fatal` from any.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "ddp/environment.h"
#include "loader/config.h"
#include "trace/event.h"
#include "trace/exit_code.h"
#include "trace/peek.h"
#include "trace/writer.h"

namespace batch71::ddp {

class StepWatch {
 public:
  using Speak = std::function<std::string(const std::string& run_folder)>;
  StepWatch(const Environment& env, const loader::Guards& guards, Speak on_stuck);
  ~StepWatch();  // bounded: the thread wakes at once

  // Main enters a stage; what is held against a deadline is the time spent in it.
  void enter(trace::Stage stage, const trace::Place& place);
  // Main saw a collective fail. Does not return: the watch ends the process after the grace.
  [[noreturn]] void symptom(trace::Stage stage, const std::string& what);
  // Something that ends this rank, whoever finds it. Returns; the process ends soon.
  void fatal(ExitCode code, const std::string& why);
  // All ranks alike end here with this code (budget, disagreement, loss). Does not return.
  [[noreturn]] void end_together(ExitCode code, const std::string& why);

 private:
  struct Peer {
    int rank;
    std::unique_ptr<trace::Peek> main;
    std::unique_ptr<trace::Peek> watch;
    bool done = false;  // it said so: from now on it may be gone
  };
  struct Trouble {
    ExitCode code = ExitCode::kPeerLost;
    trace::Stage stage = trace::Stage::kNone;
    std::string why;
    bool is_symptom = false;  // a collective: somebody else may be to blame
  };

  void run();
  bool stopped_within(int most_ms);
  void check_own_stage();
  void check_peers();
  void check_peer(Peer& peer);
  void raise(const Trouble& trouble);
  std::optional<Trouble> trouble();
  int deadline_ms(trace::Stage stage) const;
  void observe(const std::string& who, int pid, trace::Stage stage, const trace::Place& place);
  void observe_peers();
  void look_again();
  bool beats(Peer& peer);
  std::string verdict();
  [[noreturn]] void end(const Trouble& trouble);

  const Environment env_;
  const loader::Guards guards_;
  const Speak on_stuck_;
  std::vector<Peer> peers_;

  std::mutex mutex_;
  std::condition_variable wake_;
  bool stop_ = false;
  std::optional<Trouble> trouble_;
  trace::Stage stage_ = trace::Stage::kSetup;
  trace::Place place_;
  uint64_t since_ns_ = 0;
  bool observed_early_ = false;

  // Of the watch thread alone:
  std::string heard_;  // a verdict that a peer published
  trace::Writer* trace_ = nullptr;

  std::thread thread_;  // last: everything above is there before it runs
};

}  // namespace batch71::ddp
