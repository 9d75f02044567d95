// Folders that are damaged or hostile: never a crash, never a wait, always a report.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <chrono>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>

#include "diagnose/cli.h"
#include "diagnose/diagnose.h"
#include "diagnose/log.h"
#include "diagnose/scenarios_test_util.h"
#include "trace/errors.h"

namespace batch71::diagnose {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using ::testing::ThrowsMessage;
using trace::Event;
using trace::Stage;

// Every kind of report; JSON that is not valid UTF-8 would not parse.
void report_all(const trace::RunTrace& run) {
  const Diagnosis diagnosis = diagnose(run);
  ASSERT_FALSE(diagnosis.verdicts.empty());
  EXPECT_FALSE(to_screen(diagnosis, false).empty());
  EXPECT_TRUE(nlohmann::json::accept(to_json(diagnosis)));
  std::FILE* nowhere = std::fopen("/dev/null", "w");
  print_log(run, {}, nowhere);
  std::fclose(nowhere);
}

std::string bytes_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(Hostile, FilesThatAreNoTracesAreNamedAndNeverWaitedFor) {
  RunFolderBuilder run;
  scenarios()[0].build(run);
  ASSERT_EQ(mkfifo((run.path() + "/pipe.b71").c_str(), 0600), 0);
  fs::create_directory(run.path() + "/folder.b71");
  fs::create_symlink("/dev/zero", run.path() + "/link.b71");
  fs::create_symlink(run.main(0).path(), run.path() + "/other.b71");
  std::ofstream(run.path() + "/text.b71") << std::string(10'000, 'x');
  std::ofstream(run.path() + "/empty.b71");
  std::ofstream(run.path() + "/\xff\x1b[2J.b71") << "x";
  const trace::RunTrace traces = run.read();
  report_all(traces);
  const Diagnosis diagnosis = diagnose(traces);
  for (const char* name :
       {"pipe.b71", "folder.b71", "link.b71", "other.b71", "text.b71", "empty.b71"}) {
    EXPECT_THAT(diagnosis.problems, Contains(HasSubstr(name)));
  }
  EXPECT_THAT(diagnosis.problems, ::testing::Each(::testing::Not(HasSubstr("\x1b"))));
  EXPECT_FALSE(diagnosis.verdicts.front().sure);
}

TEST(Hostile, AFolderOfWhichNothingCanBeReadIsRefusedAndNotCalledFine) {
  RunFolderBuilder run;
  std::ofstream(run.path() + "/rank0.main.b71") << std::string(10'000, 'x');
  std::ofstream(run.path() + "/rank1.main.b71");
  const auto refusal = ThrowsMessage<UsageError>(
      AllOf(HasSubstr(run.path()), HasSubstr("none of the 2 traces can be read"),
            HasSubstr("rank0.main.b71: not a trace file")));
  EXPECT_THAT([&] { diagnose_command(run.path(), false, false); }, refusal);
  EXPECT_THAT([&] { log_command(run.path(), {}); }, refusal);
}

TEST(Hostile, AThousandVerdictsFillOneScreen) {
  const std::vector<Verdict> many(1000);
  EXPECT_THAT(headlines(many), SizeIs(9));
  EXPECT_EQ(headlines(many).back(), "... and 992 verdicts more (batch71 diagnose --json)");
  EXPECT_THAT(headlines(std::vector<Verdict>(8)), SizeIs(8));
}

TEST(Hostile, TextsOfAnyBytesGiveValidReports) {
  RunFolderBuilder run;
  scenarios()[0].build(run);
  const std::string bad = "reason=stuck file=/\xff\xfe\x1b[31m\xc0\x80\xed\xa0\x80 why=\x07\x80";
  run.loader_watch(1).incident_at({0, 1, 2}, Event::kDummy, Stage::kAudioOpen, bad, 8, -5);
  run.loader_watch(1).incident_at({0, 1, 2}, Event::kObservation, Stage::kAudioOpen,
                                  "who=rank1.worker99999999999 state=\n\nthread state=", 1, 2);
  run.main(0).incident(Event::kDisagreement, Stage::kAgree,
                       "kind= rank=999999999999999999999 batches=");
  report_all(run.read());
  EXPECT_THAT(to_screen(run.diagnose(), false), ::testing::Not(HasSubstr("\x1b")));
}

TEST(Hostile, NumbersOfAnySizeAreNotBelieved) {
  RunFolderBuilder run;
  scenarios()[0].build(run);
  const auto huge = std::numeric_limits<int64_t>::max();
  const auto least = std::numeric_limits<int64_t>::min();
  for (const int64_t value : {huge, least, int64_t{-1}, int64_t{1} << 40}) {
    run.launch().incident(Event::kRankEnded, Stage::kNone, "", value, value);
    run.loader_watch(1).incident_at({-7, -7, value}, Event::kDummy, static_cast<Stage>(999), "",
                                    value, value);
    run.loader_watch(1).incident_at({0, 0, 0}, Event::kWorkerExited, Stage::kNone, "", value,
                                    value);
    run.main(0).incident(Event::kEnding, Stage::kNone, "", value);
    run.main(0).record(static_cast<Event>(value & 0xffff), static_cast<Stage>(value & 0xffff),
                       value, value);
  }
  report_all(run.read());
}

TEST(Hostile, AHeaderThatLiesAboutItselfCostsOnlyItsOwnFile) {
  for (const size_t offset : {8, 12, 16, 20, 24, 28, 32, 36, 40, 44, 48, 52, 88}) {
    RunFolderBuilder run;
    scenarios()[0].build(run);
    std::fstream file(run.main(1).path(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(offset));
    file.write("\xff\xff\xff\x7f", 4);
    file.close();
    const trace::RunTrace traces = run.read();
    report_all(traces);
    EXPECT_GE(traces.timelines.size(), 6u);
  }
}

// Random damage, bounded in time; the seed is printed with a failure.
TEST(Hostile, RandomDamageNeverBreaksAReport) {
  constexpr auto kSpan = std::chrono::milliseconds(1500);
  const auto stop = std::chrono::steady_clock::now() + kSpan;
  std::mt19937_64 random(71);
  for (int round = 0; std::chrono::steady_clock::now() < stop; ++round) {
    RunFolderBuilder run;
    const Scenario& scenario = scenarios()[random() % scenarios().size()];
    SCOPED_TRACE(std::string(scenario.name) + " round " + std::to_string(round));
    scenario.build(run);
    for (const auto& entry : fs::directory_iterator(run.path())) {
      std::string bytes = bytes_of(entry.path());
      std::vector<size_t> used;
      for (size_t at = 0; at < bytes.size(); ++at) {
        if (bytes[at] != 0) used.push_back(at);
      }
      for (uint64_t i = random() % 40; i > 0; --i) {
        bytes[used[random() % used.size()]] = static_cast<char>(random());
      }
      std::ofstream(entry.path(), std::ios::binary | std::ios::in) << bytes;
    }
    report_all(run.read());
    ASSERT_FALSE(HasFailure());
  }
}

// Nothing but the folder's own bytes decides: under other names, elsewhere, the report is the same.
TEST(Blindness, ACopyOfTheFolderTellsTheSame) {
  RunFolderBuilder run;
  RunFolderBuilder copy;
  for (const Scenario& scenario : scenarios()) {
    if (std::string_view(scenario.name) == "ForwardStuck") scenario.build(run);
  }
  fs::copy(run.path(), copy.path(), fs::copy_options::recursive);
  const Diagnosis first = run.diagnose();
  const Diagnosis second = copy.diagnose();
  EXPECT_EQ(one_line(first.verdicts.front()), one_line(second.verdicts.front()));
  EXPECT_EQ(first.verdicts.front().evidence, second.verdicts.front().evidence);
}

}  // namespace
}  // namespace batch71::diagnose
