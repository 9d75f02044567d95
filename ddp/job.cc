// One rank's training job, put together.
#include "ddp/job.h"

#include <fmt/format.h>

#include <atomic>
#include <optional>

#include "ddp/environment.h"
#include "ddp/error_text.h"
#include "ddp/step_loop.h"
#include "ddp/step_watch.h"
#include "loader/loader.h"
#include "loader/rank_output.h"
#include "loader/throw_stack.h"
#include "trace/errors.h"
#include "trace/run_folder.h"

namespace batch71::ddp {
namespace {

// What came out of user code: written down with its stack, then the one way out.
[[noreturn]] void fail(Progress& progress, const std::string& what) {
  progress.trace().incident(trace::Event::kError, progress.trace().stage(),
                            what + "\n" + loader::last_throw_stack());
  progress.watch().leave(ExitCode::kFailure, what);
}

// What is refused is refused by all ranks, or none can go on: who comes to it later is told why.
void tell_refusal(Progress& progress, const UsageError& error) {
  progress.trace().incident(trace::Event::kEnding, progress.trace().stage(), error.what(),
                            static_cast<int64_t>(ExitCode::kUsage));
}

template <typename Run>
void run_loop(Run run, Progress& progress) {
  const loader::ThrowStackScope stacks;
  try {
    run();
  } catch (const UsageError& error) {
    tell_refusal(progress, error);
    throw;
  } catch (const std::exception& error) {
    fail(progress, without_stack(error.what()));
  } catch (...) {
    fail(progress, "something that is no std::exception was thrown");
  }
}

// The job is done, whatever becomes of its traces.
void tell_verdict(const Environment& env, const Seams& seams) {
  if (env.run_folder.empty() || !seams.on_stuck) return;
  try {
    loader::print_lines(env.rank, "verdict", seams.on_stuck(env.run_folder));
  } catch (const std::exception& error) {
    loader::print_lines(env.rank, "no verdict", error.what());
  }
}

}  // namespace

ExitCode run_job(const JobConfig& config, const Seams& seams) {
  const Environment env = read_environment();
  if (!env.run_folder.empty()) trace::make_run_folder(env.run_folder);
  for (const std::string& line : trace::set_aside(env.run_folder, env.rank)) {
    loader::print_lines(env.rank, "leftover", line);
  }
  trace::Writer trace(env.run_folder, {trace::Role::kMain, env.rank, env.world_size});
  trace.record(trace::Event::kStarting, trace::Stage::kSetup);
  std::optional<StepWatch> watch;  // outlives the loader, whose threads may call it
  std::atomic<bool> is_watched{false};
  // First of all: the loader forks its workers from a process without threads.
  loader::Loader loader(
      {config.loader, env.rank, env.world_size, env.run_folder, seams.dataset, seams.featurizer,
       // Before the watch is there, `next` says it again.
       [&](const loader::Fatal& fatal) {
         if (is_watched) watch->fatal(fatal.code, fatal.why);
       }},
      trace);
  watch.emplace(env, config.loader.guards, StepWatch::Seams{seams.on_stuck, seams.stop_requested});
  is_watched = true;
  Progress progress(trace, *watch);
  std::optional<StepLoop> loop;
  run_loop([&] { loop.emplace(env, config, seams, loader, progress).run(); }, progress);
  loader::print_lines(env.rank, "done",
                      fmt::format("{} steps, final loss {:.4f}, {} dummies over all ranks",
                                  loop->steps(), loop->loss(), loop->dummies()));
  tell_verdict(env, seams);
  return ExitCode::kDone;
}

}  // namespace batch71::ddp
