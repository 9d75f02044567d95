// `batch71 gate`: every fault of the catalogue in real jobs, as a table, for a loader's CI.
#include <memory>

#include "cli/commands.h"
#include "fixtures/gate.h"

namespace batch71::cli {

void add_gate(CLI::App& app, int& exit_code) {
  struct Options {
    fixtures::GateOptions gate;
    std::string topology;
    bool without_controls = false;
    bool without_hooks = false;
  };
  auto options = std::make_shared<Options>();
  options->topology = fixtures::name(options->gate.topology);
  CLI::App* command = app.add_subcommand(
      "gate", "Inject every fault into real jobs; each must be located or recovered in time");
  command->add_option(
      "--only", options->gate.only,
      "only these faults: worker_sigkill, wav_nan@rank=2,batch=3; none: the clean run");
  command->add_option("--topology", options->topology, "ranks, workers, batch size, order, batches")
      ->capture_default_str();
  command
      ->add_option("--subject", options->gate.subject,
                   "reference, naive (controls only), or the program of one rank")
      ->capture_default_str();
  command->add_flag("--no-controls", options->without_controls,
                    "leave out the runs that show each fault on a loader without guards");
  command->add_flag("--no-hooks", options->without_hooks,
                    "the subject does not load libuser_hooks.so: faults in user code do not apply");
  command
      ->add_option("--job-deadline-ms", options->gate.job_deadline_ms,
                   "of a whole job, its start included: what hangs is ended then")
      ->capture_default_str()
      ->check(CLI::Range(1'000, 3'600'000));
  command->add_option("--junit", options->gate.junit_path, "write the results as JUnit XML");
  command->add_option("--threads", options->gate.threads, "cases at once")
      ->capture_default_str()
      ->check(CLI::Range(1, 64));
  command->callback([options, &exit_code] {
    options->gate.with_controls = !options->without_controls;
    options->gate.calls_hooks = !options->without_hooks;
    options->gate.topology = fixtures::parse_topology(options->topology);
    exit_code = fixtures::run_gate(options->gate);
  });
}

}  // namespace batch71::cli
