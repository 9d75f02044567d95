// Ranks under other people's launchers, by the commands of docs/launchers.md.
//
// Rank 1 is lost, stopped or stuck in the first attempt; a launcher that can starts a second one, which
// resumes: over both attempts every sample is consumed once. The launches of all chosen tests run at once, since they mostly wait; each test awaits its own.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netdb.h>
#include <unistd.h>

#include <climits>
#include <filesystem>
#include <fstream>
#include <future>
#include <map>
#include <nlohmann/json.hpp>
#include <regex>
#include <utility>

#include "faults/plan.h"
#include "fixtures/corpus.h"
#include "fixtures/ledger.h"
#include "fixtures/run.h"
#include "fixtures/stage.h"
#include "launch/cell.h"
#include "launch/keeper.h"
#include "trace/exit_code.h"

namespace batch71::suites {
namespace {

namespace fs = std::filesystem;
using ::testing::_;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

constexpr int kWorldSize = 2;
constexpr int64_t kSamples = 96;
constexpr int kBoundMs = 90'000;
constexpr const char* kShellLoop = "A shell loop";
constexpr const char* kShellLoopAgain = "A shell loop that starts again";
constexpr const char* kTorchrunFor2 = "torchrun, ranks built against libtorch 2";
constexpr const char* kTorchrun =
    BATCH71_LIBTORCH_MAJOR == 1 ? "torchrun 2, ranks built against libtorch 1.13" : kTorchrunFor2;

using Verdicts = std::map<std::string, std::string>;  // by run folder: "KIND of rank N"

struct LaunchCase {
  std::string name;
  std::string launcher;  // heading of docs/launchers.md
  std::string fault;     // in the first attempt; "" for none
  int exit_code = 0;
  Verdicts verdicts;  // none: not asked for
  std::string says;   // in its output
};

// What came of it.
struct Launched {
  launch::CellResult cell;
  std::string output;
  std::map<int, int> times_done;          // by rank
  std::map<int64_t, int> times_consumed;  // by sample
  Verdicts verdicts;
};

std::string read_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// The command below that heading of docs/launchers.md, for the programs beside this one.
std::string command_of(const std::string& heading) {
  const std::string page = read_file(BATCH71_SOURCE_DIR "/docs/launchers.md");
  const std::string opening = "\n```bash\n";
  const size_t begin = page.find(opening, page.find("\n## " + heading + "\n"));
  const size_t end = page.find("\n```", begin + 1);
  if (end == std::string::npos) throw std::runtime_error("docs/launchers.md: where is " + heading);
  static const std::regex kPrograms(R"(\bbuild(-torch2)?/bin/)");
  const std::string command = page.substr(begin + opening.size(), end - begin - opening.size());
  return std::regex_replace(command, kPrograms, launch::sibling_program(""));
}

// The strike of batch 5 comes two steps after a checkpoint.
std::string write_config(const std::string& manifest, const std::string& folder) {
  const std::string path = folder + "/job.yaml";
  std::ofstream(path) << fmt::format(
      "train_ds:\n  manifest_filepath: {}\n  batch_size: 4\n  num_workers: 1\n"
      "  sample_rate: {}\n  features: waveform\n  min_duration: {}\n"
      "guards:\n  step_deadline_ms: {}\n  collective_deadline_ms: {}\n  verdict_grace_ms: {}\n"
      "trainer:\n  checkpoint_dir: {}/kept\n  checkpoint_every_steps: 3\n",
      manifest, fixtures::kSampleRateHz, fixtures::kShortestS, fixtures::kStepDeadlineMs,
      fixtures::kCollectiveDeadlineMs, fixtures::kVerdictGraceMs, folder);
  return path;
}

std::string verdict_on(const std::string& run_folder, const std::string& report_path) {
  launch::ProcessSpec spec;
  spec.argv = {launch::sibling_program("batch71"), "diagnose", "--json", run_folder};
  spec.output_path = report_path;
  launch::start_process(spec).wait(kBoundMs);
  const nlohmann::json report = nlohmann::json::parse(read_file(report_path), nullptr, false);
  if (!report.is_object()) return read_file(report_path);
  const nlohmann::json& verdict = report.at("verdicts").at(0);
  return fmt::format("{} of rank {}", verdict.value("kind", "?"), verdict.value("rank", -1));
}

// Of the run folder itself, or of its attempts.
Verdicts verdicts_on(const std::string& run_folder, const std::string& folder_for_reports) {
  Verdicts verdicts;
  for (const auto& entry : fs::directory_iterator(run_folder)) {
    const std::string of = entry.is_directory() ? entry.path().string() : run_folder;
    const std::string name = fs::path(of).filename();
    if (verdicts.contains(name)) continue;
    verdicts[name] = verdict_on(of, fmt::format("{}/{}.json", folder_for_reports, name));
  }
  return verdicts;
}

Launched run_launcher(const LaunchCase& with) {
  launch::Keeper keeper;
  const std::string parent = fixtures::parent_of_case_folders();
  const std::string folder = keeper.make_temporary_folder(parent);
  fixtures::SyntheticCorpus corpus(keeper.make_temporary_folder(parent));
  fixtures::StageSpec stage{
      folder, write_config(corpus.manifest(kSamples), folder), {}, kWorldSize, {}};
  if (!with.fault.empty()) stage.plan = faults::parse_plan(with.fault + "@rank=1,batch=5");
  launch::CellSpec cell = fixtures::stage(stage).cell;
  launch::RanksSpec& launcher = cell.ranks;  // to the cell it is one program
  // What `batch71 run` sets for the libraries' threads, others do not.
  launcher.argv = {
      "env",  "-u", "OMP_NUM_THREADS",        "-u", "OPENBLAS_NUM_THREADS", "-u", "MKL_NUM_THREADS",
      "bash", "-c", command_of(with.launcher)};
  launcher.world_size = 1;
  launcher.working_folder = BATCH71_SOURCE_DIR;
  launcher.deadline_ms = kBoundMs;
  const std::string run_folder = std::exchange(launcher.run_folder, "");
  launcher.env["BATCH71_RUN_DIR"] = run_folder;
  Launched launched;
  launched.cell = launch::run_cell(cell, &keeper);
  launched.output = read_file(launcher.output_folder + "/rank0.log");
  const fixtures::Ledger ledger = fixtures::read_ledgers(launcher.ledger_folder, 1);  // one for all
  for (const auto& end : ledger.ends) ++launched.times_done[end.rank];
  for (const auto& line : ledger.lines) {
    for (const int64_t index : line.indices) ++launched.times_consumed[index];
  }
  launched.verdicts = verdicts_on(run_folder, folder);
  return launched;
}

bool has_address(const std::string& name) {
  addrinfo* found = nullptr;
  if (getaddrinfo(name.c_str(), nullptr, nullptr, &found) != 0) return false;
  freeaddrinfo(found);
  return true;
}

std::string host_name() {
  char name[HOST_NAME_MAX + 1] = {};
  gethostname(name, HOST_NAME_MAX);
  return name;
}

bool needs_torchrun(const LaunchCase& with) {
  return with.launcher == kTorchrun || with.launcher == kTorchrunFor2;
}

std::string why_impossible(const LaunchCase& with) {
  static const launch::CellSupport kSupport = launch::cell_support();
  if (!kSupport.missing.empty()) return "needs " + kSupport.missing;
  if (!needs_torchrun(with)) return "";
  if (!fs::exists(BATCH71_SOURCE_DIR "/.torch2/bin/torchrun")) {
    return "needs a torchrun: `ci/setup --torch2` brings it";
  }
  for (const std::string& name : {std::string("localhost"), host_name()}) {
    if (!has_address(name)) {
      return "needs an address for " + name + " (/etc/hosts): torchrun's stores are there";
    }
  }
  return "";
}

std::vector<LaunchCase> all_cases() {
  const std::string fine = "nothing_wrong of rank -1";
  const std::string resumed = "resumed: epoch 0, batch 3: 24 samples consumed over all ranks";
  constexpr int kPeerLost = static_cast<int>(ExitCode::kPeerLost);
  std::vector<LaunchCase> cases{{"shell_loop", kShellLoop, "", 0, {{"run", fine}}, ""},
                                {"shell_loop_stopped",
                                 kShellLoop,
                                 "rank_sigstop",
                                 kPeerLost,
                                 {{"run", "rank_stopped of rank 1"}},
                                 ""},
                                {"shell_loop_that_starts_again",
                                 kShellLoopAgain,
                                 "rank_sigkill",
                                 0,
                                 {{"earlier0", "rank_killed of rank 1"}, {"run", fine}},
                                 resumed},
                                {"torchrun", kTorchrun, "", 0, {{"attempt0", fine}}, ""},
                                {"torchrun_lost",
                                 kTorchrun,
                                 "rank_sigkill",
                                 0,
                                 {{"attempt0", "rank_killed of rank 1"}, {"attempt1", fine}},
                                 resumed},
                                {"torchrun_stopped",
                                 kTorchrun,
                                 "rank_sigstop",
                                 0,
                                 {{"attempt0", "rank_stopped of rank 1"}, {"attempt1", fine}},
                                 resumed},
                                {"torchrun_stuck",
                                 kTorchrun,
                                 "forward_hang",
                                 0,
                                 {{"attempt0", "forward_stuck of rank 1"}, {"attempt1", fine}},
                                 resumed}};
  if (BATCH71_LIBTORCH_MAJOR == 1) {
    cases.push_back({"torchrun_of_libtorch_2",
                     kTorchrunFor2,
                     "",
                     1,
                     {},
                     "the agent's store does not answer as libtorch 1.13 does; start torchrun with "
                     "--standalone and TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1"});
  }
  return cases;
}

class Launcher : public ::testing::TestWithParam<LaunchCase> {
 protected:
  static void SetUpTestSuite() {
    const ::testing::TestSuite& suite = *::testing::UnitTest::GetInstance()->current_test_suite();
    const std::vector<LaunchCase> cases = all_cases();
    for (int i = 0; i < suite.total_test_count(); ++i) {
      const LaunchCase& with = cases.at(static_cast<size_t>(i));
      if (!suite.GetTestInfo(i)->should_run() || !why_impossible(with).empty()) continue;
      launches_[with.name] = std::async(std::launch::async, run_launcher, with);
    }
  }
  static void TearDownTestSuite() { launches_.clear(); }

  static inline std::map<std::string, std::future<Launched>> launches_;
};

TEST_P(Launcher, EndsAsItMustAndLeavesNothing) {
  const LaunchCase& with = GetParam();
  if (const std::string why = why_impossible(with); !why.empty()) GTEST_SKIP() << why;
  const Launched launched = launches_.at(with.name).get();
  EXPECT_THAT(launched.cell.error, IsEmpty());
  EXPECT_EQ(launched.cell.ranks.at(0).exit_code, with.exit_code) << launched.output;
  if (!with.verdicts.empty()) {
    EXPECT_EQ(launched.verdicts, with.verdicts) << launched.output;
  }
  EXPECT_THAT(launched.output, HasSubstr(with.says));
  if (with.exit_code == 0) {
    EXPECT_EQ(launched.times_done, (std::map<int, int>{{0, 1}, {1, 1}}));
    EXPECT_EQ(launched.times_consumed.size(), static_cast<size_t>(kSamples));
    EXPECT_THAT(launched.times_consumed, Each(Pair(_, 1)));
  }
  EXPECT_THAT(launched.cell.leftovers.processes, IsEmpty());
  EXPECT_THAT(launched.cell.leftovers.segments, IsEmpty());
  EXPECT_THAT(launched.cell.leftovers.mounts, IsEmpty());
  EXPECT_THAT(launched.cell.leftovers.files, Each(HasSubstr("/tmp/torchelastic_")));  // torchrun's
}
INSTANTIATE_TEST_SUITE_P(Foreign, Launcher, testing::ValuesIn(all_cases()),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace batch71::suites
