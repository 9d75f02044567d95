// One rank's training job, put together.
#include "ddp/job.h"

#include <fmt/format.h>

#include <cstdio>

#include "ddp/environment.h"
#include "ddp/step_loop.h"
#include "ddp/step_watch.h"
#include "loader/loader.h"

namespace batch71::ddp {

ExitCode run_job(const JobConfig& config, const Seams& seams) {
  const Environment env = read_environment();
  trace::Writer trace(env.run_folder, {trace::Role::kMain, env.rank, env.world_size});
  StepWatch* watch_of_loader = nullptr;
  // First of all: the loader forks its workers from a process without threads.
  loader::Loader loader(
      {config.loader, env.rank, env.world_size, env.run_folder, seams.dataset, seams.featurizer,
       [&watch_of_loader](const loader::Fatal& fatal) {
         if (watch_of_loader != nullptr) watch_of_loader->fatal(fatal.code, fatal.why);
       }},
      trace);
  StepWatch watch(env, config.loader.guards, seams.on_stuck);
  watch_of_loader = &watch;
  try {
    StepLoop loop(env, config, seams, loader, watch, trace);
    loop.run();
    std::fprintf(stderr, "[Rank %d] done: %ld steps, final loss %.4f, %ld dummies over all ranks\n",
                 env.rank, static_cast<long>(loop.steps()), loop.last_loss(),
                 static_cast<long>(loop.dummies_over_all_ranks()));
  } catch (const std::exception& error) {
    trace.incident(trace::Event::kError, trace.stage(),
                   std::string(error.what()) + "\nwhere it was caught");
    watch.end_together(ExitCode::kFailure, error.what());
  }
  if (!env.run_folder.empty()) {
    const std::string verdict = seams.on_stuck(env.run_folder);
    if (!verdict.empty())
      std::fprintf(stderr, "[Rank %d] verdict: %s\n", env.rank, verdict.c_str());
  }
  return ExitCode::kDone;
}

}  // namespace batch71::ddp
