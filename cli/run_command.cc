// `batch71 run`: starts the ranks of a job here, shows one live line, and says how it ended.
#include <fmt/format.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <memory>

#include "cli/commands.h"
#include "cli/run_config.h"
#include "cli/status_line.h"
#include "diagnose/diagnose.h"
#include "faults/plan.h"
#include "fixtures/run.h"
#include "fixtures/stage.h"
#include "launch/cell.h"
#include "launch/keeper.h"
#include "launch/ranks.h"
#include "trace/errors.h"
#include "trace/exit_code.h"
#include "trace/reader.h"
#include "trace/run_folder.h"

namespace batch71::cli {
namespace {

namespace fs = std::filesystem;

constexpr int kRefreshMs = 200;
// As shells report a program that a signal ended.
constexpr int kSignalled = 128;
static_assert(kSignalled + SIGINT == static_cast<int>(ExitCode::kInterrupted));

struct Options {
  int ranks = 4;
  std::string config;
  int64_t steps = -1;
  std::string guards = "on";
  std::string fault;
  std::vector<std::string> program;
};

// Ctrl-C and SIGTERM as something to wait on; the ranks are ended in an orderly way.
class Interrupts {
 public:
  Interrupts() {
    sigemptyset(&set_);
    sigaddset(&set_, SIGINT);
    sigaddset(&set_, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set_, &before_);
    fd_ = signalfd(-1, &set_, SFD_CLOEXEC | SFD_NONBLOCK);
  }
  ~Interrupts() {
    close(fd_);
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  Interrupts(const Interrupts&) = delete;
  Interrupts& operator=(const Interrupts&) = delete;
  int fd() const { return fd_; }
  // 0: there is none.
  int taken() {
    signalfd_siginfo info{};
    return read(fd_, &info, sizeof info) == sizeof info ? static_cast<int>(info.ssi_signo) : 0;
  }

 private:
  sigset_t set_{};
  sigset_t before_{};
  int fd_ = -1;
};

constexpr int kFailure = static_cast<int>(ExitCode::kFailure);

// What a rank's end says of the job. Of one that only did what launch asked for: nothing of its own.
int code_of(const launch::RankEnd& end, size_t num_ranks) {
  const bool obeyed =
      end.exit_code < 0 || end.exit_code == static_cast<int>(ExitCode::kInterrupted);
  if (end.ended_by_us && obeyed) return kFailure;
  if (end.exit_code >= 0) return end.exit_code;
  return num_ranks > 1 ? static_cast<int>(ExitCode::kPeerLost) : kFailure;
}

// The code that says most: one of a guard before one of a mere failure.
int exit_code_of(const std::vector<launch::RankEnd>& ends) {
  int code = 0;
  for (const launch::RankEnd& end : ends) {
    const int own = code_of(end, ends.size());
    if (code <= kFailure && own != 0) code = own;
  }
  return code;
}

void print_end(const std::string& run_folder, const std::vector<launch::RankEnd>& ends) {
  for (const launch::RankEnd& end : ends) {
    if (end.signal != 0)
      fmt::print(stderr, "rank {} was ended by signal {}\n", end.rank, end.signal);
    if (end.deaf)
      fmt::print(stderr, "rank {} (pid {}) is deaf to SIGKILL and was left\n", end.rank, end.pid);
  }
  try {
    const diagnose::Diagnosis diagnosis = diagnose::diagnose(trace::read_run(run_folder));
    for (const std::string& line : diagnose::headlines(diagnosis.verdicts)) {
      fmt::print(stderr, "verdict: {}\n", line);
    }
  } catch (const UsageError& no_traces) {  // there was no room for any: how the job ended stands
    fmt::print(stderr, "no verdict: {}\n", no_traces.what());
  }
  fmt::print(stderr, "traces: {}\n", run_folder);
}

// One live line on a terminal until `step` says that all has ended; Ctrl-C asks `stop` once.
// The signal that interrupted it, or 0.
int drive(const std::string& run_folder, int num_ranks, const std::function<bool(int fd)>& step,
          const std::function<void()>& stop, Interrupts& interrupts) {
  trace::set_latest(fs::path(run_folder).parent_path().string(), run_folder);
  StatusLine status(run_folder, num_ranks);
  const bool is_terminal = isatty(STDERR_FILENO) != 0;
  int interrupted_by = 0;
  while (step(interrupts.fd())) {
    if (const int signal = interrupts.taken(); signal != 0) {
      interrupted_by = signal;
      stop();
    }
    const std::string line = status.text();  // also unseen: it measures the speed
    if (is_terminal) fmt::print(stderr, "\r\033[K{}", line);
  }
  if (is_terminal) fmt::print(stderr, "\r\033[K");
  const std::string last = status.text();
  if (last != StatusLine::kStarting) fmt::print(stderr, "{}\n", last);
  return interrupted_by;
}

struct Ended {
  std::vector<launch::RankEnd> ends;
  int interrupted_by = 0;  // that signal
  std::string failure;     // of the case itself, which makes its end worth nothing
};

// With an absolute path where it has one at all: a cell has a working folder of its own.
std::vector<std::string> program_of(const Options& options) {
  std::vector<std::string> words = options.program;
  if (words.empty()) return {launch::sibling_program("batch71-reference")};
  if (words[0].find('/') == std::string::npos) return words;
  words[0] = fs::absolute(words[0]).lexically_normal();
  if (access(words[0].c_str(), X_OK) != 0 || fs::is_directory(words[0])) {
    throw UsageError(words[0] + ": is no program that can be started; name an executable file");
  }
  return words;
}

Ended run_here(const Options& options, const std::string& run_folder, const std::string& config) {
  launch::RanksSpec spec;
  spec.config_path = config;
  spec.argv = program_of(options);
  spec.world_size = options.ranks;
  spec.run_folder = run_folder;
  spec.ends_groups = true;  // what a wrapper of the user's started goes with it
  Interrupts interrupts;
  launch::Ranks ranks(std::move(spec));
  Ended ended;
  ended.interrupted_by = drive(
      run_folder, options.ranks, [&](int fd) { return ranks.step(kRefreshMs, fd); },
      [&] { ranks.request_stop(); }, interrupts);
  ended.ends = ranks.ends();
  return ended;
}

// The same job in a cell, where only the fault is seen: it harms nothing of the user's.
Ended run_struck(const Options& options, const std::string& run_folder, const std::string& config) {
  const launch::CellSupport support = launch::cell_support();
  if (!support.missing.empty()) throw UsageError("--fault needs " + support.missing);
  launch::Keeper keeper;
  const std::string folder = keeper.make_temporary_folder(fixtures::parent_of_case_folders());
  // What is in the run folder stays, the case folder goes.
  const faults::FaultPlan plan = faults::parse_plan(options.fault);
  fixtures::StagedJob job =
      fixtures::stage({folder, config, program_of(options), options.ranks, plan, run_folder});
  fmt::print(stderr, "fault: {} at {}\n", options.fault, faults::to_text(*plan.fault, *job.where));
  job.cell.ranks.output_folder = run_folder;
  job.cell.mounts.push_back({run_folder, run_folder});  // should it lie in the corpus
  job.cell.ranks.deadline_ms = -1;  // with guards off it stands still until Ctrl-C
  Interrupts interrupts;
  launch::Cell cell(job.cell, &keeper);
  Ended ended;
  ended.interrupted_by = drive(
      run_folder, options.ranks, [&](int) { return !cell.wait(kRefreshMs); },
      [&] { cell.end_now(); }, interrupts);
  const launch::CellResult result = cell.result();
  ended.ends = result.ranks;
  ended.failure = result.error;
  if (ended.failure.empty() && fixtures::read_strikes(job.strike_log).empty()) {
    ended.failure = "the fault did not strike: the job did not come to its place";
  }
  return ended;
}

int run(const Options& options) {
  if (!fs::is_regular_file(options.config)) {
    throw UsageError(options.config +
                     ": no such config file; name a YAML file with a train_ds: section");
  }
  const std::string root = trace::trace_root();
  trace::prune(root, {});
  const std::string run_folder = trace::create_run_folder(root);
  const std::string config = run_folder + "/config.yaml";
  Ended ended;
  try {
    write_run_config(options.config, {options.steps, options.guards == "off"}, config);
    if (options.program.empty()) check_data(config, options.ranks);
    ended = options.fault.empty() ? run_here(options, run_folder, config)
                                  : run_struck(options, run_folder, config);
  } catch (const UsageError&) {
    fs::remove_all(run_folder);  // nothing was started: nothing stays
    throw;
  }
  print_end(run_folder, ended.ends);
  if (ended.interrupted_by != 0) return kSignalled + ended.interrupted_by;
  if (!ended.failure.empty()) throw std::runtime_error(ended.failure);
  return exit_code_of(ended.ends);
}

}  // namespace

void add_run(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "run",
      "Train under DDP on this machine, recorded (BATCH71_TRACE_DIR, or /dev/shm) and watched");
  command->add_option("-n,--ranks", options->ranks, "number of ranks")
      ->capture_default_str()
      ->check(CLI::Range(1, 1024));
  command->add_option("--config", options->config, "YAML with train_ds:, guards:, trainer:")
      ->required();
  command->add_option("--steps", options->steps, "stop after so many steps")
      ->check(CLI::NonNegativeNumber);
  command
      ->add_option("--guards", options->guards, "off: deadlines of 30 minutes, as PyTorch has them")
      ->check(CLI::IsMember({"on", "off"}))
      ->capture_default_str();
  command
      ->add_option("--fault", options->fault,
                   "strike the job: featurizer_hang@rank=1,batch=71 (batch71 faults list)")
      ->check(CLI::Validator(
          [](const std::string& text) {
            return text.empty() ? std::string("names no fault (batch71 faults list)")
                                : std::string();
          },
          "PLAN"));
  command->add_option("program", options->program,
                      "a rank's program (after --); default: the reference");
  command->callback([options, &exit_code] { exit_code = run(*options); });
}

}  // namespace batch71::cli
