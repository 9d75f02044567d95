// One run for each kind of verdict; cut, damaged and hostile traces; reports.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <set>

#include "diagnose/diagnose.h"
#include "diagnose/scenarios_test_util.h"
#include "trace/exit_code.h"

namespace batch71::diagnose {
namespace {

namespace fs = std::filesystem;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using trace::Event;
using trace::Stage;

class EveryScenario : public ::testing::TestWithParam<Scenario> {
 protected:
  void SetUp() override { GetParam().build(run_); }
  RunFolderBuilder run_;
};

std::string describe(const Diagnosis& diagnosis) { return to_screen(diagnosis, false); }

TEST_P(EveryScenario, GetsItsVerdictWithItsPlace) {
  const Diagnosis diagnosis = run_.diagnose();
  const Verdict& verdict = diagnosis.verdicts.front();
  const Verdict& wanted = GetParam().headline;
  EXPECT_EQ(text(verdict.kind).name, text(wanted.kind).name) << describe(diagnosis);
  EXPECT_EQ(verdict.rank, wanted.rank);
  EXPECT_EQ(verdict.worker, wanted.worker);
  EXPECT_EQ(verdict.epoch, wanted.epoch);
  EXPECT_EQ(verdict.batch, wanted.batch);
  EXPECT_EQ(verdict.index, wanted.index);
  EXPECT_EQ(verdict.file, wanted.file);
  EXPECT_EQ(name(verdict.stage), name(wanted.stage));
  EXPECT_EQ(verdict.recovered, wanted.recovered);
  EXPECT_EQ(verdict.sure, wanted.sure) << describe(diagnosis);
  if (!wanted.what.empty()) {
    EXPECT_EQ(verdict.what, wanted.what);
  }
  EXPECT_EQ(diagnosis.verdicts.size(), 1u) << describe(diagnosis);
  EXPECT_FALSE(verdict.evidence.empty());
}

TEST_P(EveryScenario, IsSaidTheSameBySeveralReaders) {
  const Diagnosis first = run_.diagnose();
  const Diagnosis second = run_.diagnose();
  ASSERT_EQ(first.verdicts.size(), second.verdicts.size());
  for (size_t i = 0; i < first.verdicts.size(); ++i) {
    EXPECT_EQ(one_line(first.verdicts[i]), one_line(second.verdicts[i]));
  }
}

TEST_P(EveryScenario, IsReportedAsJsonWithTheDocumentedKeys) {
  const auto json = nlohmann::json::parse(to_json(run_.diagnose()));
  std::ifstream docs(BATCH71_DOCS "/verdicts.md");
  const std::string documented{std::istreambuf_iterator<char>(docs), {}};
  for (const auto& list : {json, json["verdicts"][0], json["ranks"][0]}) {
    for (const auto& [key, value] : list.items())
      EXPECT_THAT(documented, HasSubstr("`" + key + "`"));
  }
  EXPECT_EQ(json["verdicts"][0]["kind"], text(GetParam().headline.kind).name);
}

bool is_vague(Kind kind) {
  return kind == Kind::kItemStuck || kind == Kind::kRankStuck || kind == Kind::kCollectiveStuck ||
         kind == Kind::kNothingWrong || kind == Kind::kRanksDisagree;
}

// What a cut folder may say: the truth, perhaps with less of its place, or something vaguer, unsure.
void expect_true_or_less_sure(const Diagnosis& cut, const Verdict& truth,
                              const std::string& where) {
  for (const Verdict& verdict : cut.verdicts) {
    // Without all of its parts, one of them is what is left to be told.
    if (truth.kind == Kind::kStateLeftBehind && verdict.kind == Kind::kItemThrew) continue;
    const bool same_kind = verdict.kind == truth.kind;
    EXPECT_TRUE(same_kind || (is_vague(verdict.kind) && !verdict.sure)) << where << describe(cut);
    // Of several ranks to whom the same happened, one may be what is left.
    const bool is_of_all = same_kind && truth.what.starts_with("as did all others");
    EXPECT_TRUE(verdict.rank == truth.rank || verdict.rank == -1 || is_of_all)
        << where << describe(cut);
    EXPECT_TRUE(verdict.worker == truth.worker || verdict.worker == -1) << where << describe(cut);
    EXPECT_TRUE(verdict.index == truth.index || verdict.index == -1) << where << describe(cut);
    EXPECT_TRUE(verdict.file == truth.file || verdict.file.empty()) << where << describe(cut);
    const bool same_stage = verdict.stage == truth.stage || verdict.stage == Stage::kNone;
    EXPECT_TRUE(!verdict.sure || same_stage) << where << describe(cut);
  }
}

// Every length at which a cut takes away something else: within the header, each record that is
// there, each 8 bytes of text that are there. Between those lie zeros.
std::set<uint64_t> telling_lengths(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  const std::string zeros(8, '\0');
  std::set<uint64_t> lengths{0, 1, 100, sizeof(trace::FileHeader) - 1, trace::kHeaderBytes};
  for (uint64_t at = 0; at + 8 <= bytes.size(); at += 8) {
    if (at < trace::kHeaderBytes || bytes.compare(at, 8, zeros) == 0) continue;
    lengths.insert({at, at + 3, at + 8});
  }
  return lengths;
}

TEST_P(EveryScenario, IsNeverToldWronglyFromCutTraces) {
  const trace::RunTrace whole = run_.read();
  const std::string cut_path = run_.path() + "/cut";
  for (size_t i = 0; i < whole.timelines.size(); ++i) {
    const std::string& path = whole.timelines[i].path;
    const std::set<uint64_t> lengths = telling_lengths(path);
    fs::copy_file(path, cut_path, fs::copy_options::overwrite_existing);
    for (auto length = lengths.rbegin(); length != lengths.rend(); ++length) {
      fs::resize_file(cut_path, *length);
      trace::RunTrace run = whole;
      std::string why;
      if (std::optional<trace::Timeline> cut = trace::read_timeline(cut_path, &why)) {
        cut->path = path;
        run.timelines[i] = std::move(*cut);
      } else {
        run.timelines.erase(run.timelines.begin() + static_cast<std::ptrdiff_t>(i));
        run.problems.push_back(path + ": " + why);
      }
      expect_true_or_less_sure(diagnose(run), GetParam().headline,
                               path + " cut to " + std::to_string(*length) + "\n");
      if (HasFailure()) return;
    }
  }
}

// The folder as it is where only the files that `stays` takes were copied.
trace::RunTrace only(const trace::RunTrace& whole,
                     const std::function<bool(const std::string& name)>& stays) {
  trace::RunTrace run = whole;
  std::erase_if(run.timelines, [&](const trace::Timeline& timeline) {
    return !stays(fs::path(timeline.path).filename());
  });
  return run;
}

TEST_P(EveryScenario, IsNeverToldWronglyWithoutSomeFiles) {
  const trace::RunTrace whole = run_.read();
  const Verdict& truth = GetParam().headline;
  const auto expect_true = [&](const trace::RunTrace& run, const std::string& where) {
    if (!run.timelines.empty()) expect_true_or_less_sure(diagnose(run), truth, where);
  };
  for (const trace::Timeline& timeline : whole.timelines) {
    const std::string lost = fs::path(timeline.path).filename();
    expect_true(only(whole, [&](const std::string& name) { return name != lost; }),
                "without " + lost + "\n");
  }
  for (const std::string rank : {"rank0", "rank1"}) {
    expect_true(only(whole, [&](const std::string& name) { return !name.starts_with(rank); }),
                "without " + rank + "*\n");
    expect_true(only(whole, [&](const std::string& name) { return name.starts_with(rank); }),
                "only " + rank + "*\n");
  }
}

INSTANTIATE_TEST_SUITE_P(Diagnose, EveryScenario, ::testing::ValuesIn(scenarios()),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(Verdicts, EveryKindHasItsScenarioAndItsText) {
  std::set<Kind> covered;
  for (const Scenario& scenario : scenarios()) covered.insert(scenario.headline.kind);
  for (const KindText& entry : all_kinds()) {
    EXPECT_TRUE(covered.contains(entry.kind)) << entry.name;
    EXPECT_EQ(&text(entry.kind), &entry);
  }
}

const Scenario& scenario(std::string_view name) {
  return *std::find_if(scenarios().begin(), scenarios().end(),
                       [&](const Scenario& entry) { return entry.name == name; });
}

// In "nothing wrong" a folder without some of its files is not sure of itself.
TEST(Verdicts, NothingIsNotWrongWhereFilesAreNotThere) {
  RunFolderBuilder run;
  scenario("FeaturizerLoops").build(run);
  const trace::RunTrace whole = run.read();
  for (const std::string lost : {"rank1.loader-watch.b71", "rank1."}) {
    const Diagnosis diagnosis =
        diagnose(only(whole, [&](const std::string& name) { return !name.starts_with(lost); }));
    EXPECT_THAT(headlines(diagnosis.verdicts), ElementsAre("not sure: nothing wrong")) << lost;
    EXPECT_THAT(to_screen(diagnosis, false), Not(HasSubstr("as planned")));
    EXPECT_EQ(diagnosis.finished, lost != "rank1.");
    EXPECT_THAT(diagnosis.problems, Contains(HasSubstr(lost == "rank1." ? "1 of 2" : lost)));
  }
}

TEST(Verdicts, ARankWithoutAnyWatchMayHaveHadNone) {
  RunFolderBuilder run;
  for (int rank : {0, 1}) {
    run.main(rank).incident(Event::kSettings, Stage::kSetup, "a loader of its own");
    run.main(rank).incident(Event::kDone, Stage::kShutdown);
  }
  EXPECT_TRUE(run.diagnose().verdicts.front().sure);
}

TEST(Verdicts, AJobThatIsJustStartingLacksNothing) {
  RunFolderBuilder run;
  run.main(0).record(Event::kStarting, Stage::kSetup);
  run.main(0).incident(Event::kLoaderCreated, Stage::kSetup, "its watch is on its way");
  EXPECT_TRUE(run.diagnose().verdicts.front().sure);
  run.make_older(run.main(0), 4);
  EXPECT_TRUE(run.diagnose().verdicts.front().sure);
}

TEST(Verdicts, ThatNobodyWroteATraceIsNoGoodNews) {
  RunFolderBuilder run;
  for (int rank : {0, 1}) run.launch().incident(Event::kRankEnded, Stage::kNone, "", 0, rank);
  EXPECT_THAT(headlines(run.diagnose().verdicts), ElementsAre("not sure: nothing wrong"));
}

// Rank, code, words: who left in setup, in this order. The lines that are said of them.
struct Leaver {
  int rank;
  ExitCode code;
  const char* words;
};
std::vector<std::string> lines_of(const std::vector<Leaver>& leavers) {
  RunFolderBuilder run(4);
  for (const Leaver& leaver : leavers) {
    run.main(leaver.rank).record(Event::kStarting, Stage::kSetup);
    if (leaver.words[0] != 0) {
      run.main(leaver.rank).incident(Event::kError, Stage::kSetup, leaver.words);
    }
    run.launch().incident(Event::kRankEnded, Stage::kNone, "", static_cast<int>(leaver.code) << 8,
                          leaver.rank);
  }
  return headlines(run.diagnose().verdicts);
}

TEST(Verdicts, RanksThatLeaveForOneReasonAreToldAsOne) {
  constexpr ExitCode kUsage = ExitCode::kUsage;
  constexpr ExitCode kFailure = ExitCode::kFailure;
  const std::string left = "in setup: the rank left before the job was done";
  EXPECT_THAT(lines_of({{3, kUsage, "no"}, {1, kUsage, ""}}),
              ElementsAre("rank 1: " + left + " (as did 3: no)"));
  EXPECT_THAT(
      lines_of({{3, kUsage, "no 3"}, {2, kUsage, "no 2"}, {0, kUsage, ""}, {1, kUsage, ""}}),
      ElementsAre("rank 0: " + left + " (as did all others: no 2)"));
  EXPECT_THAT(lines_of({{2, kFailure, "bad model"}, {0, kFailure, "bad model"}}),
              ElementsAre("rank 0: " + left + " (as did 2: bad model)"));
  EXPECT_THAT(lines_of({{2, kFailure, "bad model"}, {0, kFailure, "connection reset"}}),
              ElementsAre("rank 2: " + left + " (bad model)"));
  EXPECT_THAT(lines_of({{2, kFailure, ""}, {0, kFailure, ""}}), ElementsAre("rank 2: " + left));
  EXPECT_THAT(lines_of({{1, kUsage, ""}}), ElementsAre("rank 1: " + left));
}

TEST(Verdicts, OfRanksThatTrainedTheFirstToLeaveIsNamed) {
  RunFolderBuilder run;
  for (int rank : {1, 0}) {
    run.main(rank).record(Event::kStepDone, Stage::kStep);
    run.launch().incident(Event::kRankEnded, Stage::kNone, "",
                          static_cast<int>(ExitCode::kUsage) << 8, rank);
  }
  EXPECT_THAT(headlines(run.diagnose().verdicts),
              ElementsAre("rank 1: in step: the rank left before the job was done"));
}

TEST(Verdicts, TheWatchStampsWhatItSeesBeforeItActs) {
  RunFolderBuilder run;
  scenario("FeaturizerLoops").build(run);
  const trace::RunTrace traces = run.read();
  uint64_t observed_ns = 0;
  for (const trace::Timeline& timeline : traces.timelines) {
    for (const trace::Entry& entry : timeline.incidents) {
      if (entry.event == Event::kObservation) observed_ns = entry.monotonic_ns;
    }
  }
  EXPECT_EQ(diagnose(traces).verdicts.front().detected_ns, observed_ns);
}

TEST(Verdicts, PeersThatMerelyWaitAreListed) {
  RunFolderBuilder run;
  scenario("ForwardStuck").build(run);
  EXPECT_THAT(run.diagnose().verdicts.front().waiting, ElementsAre(0));
}

TEST(Verdicts, ADeathAfterTheCauseWasNoticedIsNoCause) {
  RunFolderBuilder run;
  scenario("ForwardStuck").build(run);
  run.launch().incident(Event::kRankEnded, Stage::kNone, "", 9, 0);
  const Diagnosis diagnosis = run.diagnose();
  ASSERT_EQ(diagnosis.verdicts.size(), 1u);
  EXPECT_EQ(diagnosis.verdicts[0].kind, Kind::kForwardStuck);
}

TEST(Verdicts, ASleepThatEndedWhenItWasKilledWasNotDeaf) {
  RunFolderBuilder run;
  scenario("ReadBlocked").build(run);
  run.loader_watch(1).incident_at(
      {0, 71, 568}, Event::kObservation, Stage::kAudioOpen,
      "who=rank1.worker0 state=D wchan=request_wait_answer syscall=openat");
  EXPECT_EQ(run.diagnose().verdicts.front().kind, Kind::kReadBlocked);
}

struct Throw {
  int32_t epoch;
  int64_t index;
  int32_t worker_since_epoch;
};

// What is said of samples that threw on rank 1.
std::vector<Kind> kinds_of(const std::vector<Throw>& throws) {
  RunFolderBuilder run;
  for (const Throw& each : throws) {
    run.main(1).record(Event::kStepStarted, Stage::kStep);
    run.loader_watch(1).incident_at(
        {each.epoch, 3, each.index}, Event::kDummy, Stage::kFeaturize,
        "reason=threw worker_since_epoch=" + std::to_string(each.worker_since_epoch) +
            " file=a.wav why=no entry",
        6, 0);
  }
  std::vector<Kind> kinds;
  for (const Verdict& verdict : run.diagnose().verdicts) kinds.push_back(verdict.kind);
  return kinds;
}

TEST(Verdicts, StateIsSuspectedOnlyOfWorkersThatBroughtSomeAlong) {
  constexpr Kind kThrew = Kind::kItemThrew;
  constexpr Kind kState = Kind::kStateLeftBehind;
  EXPECT_THAT(kinds_of({{1, 5, 0}, {1, 6, 0}}), ElementsAre(kState));
  EXPECT_THAT(kinds_of({{1, 5, 0}, {2, 6, 0}, {2, 7, 1}}), ElementsAre(kState));
  EXPECT_THAT(kinds_of({{1, 5, 0}}), ElementsAre(kThrew)) << "one may have any reason";
  EXPECT_THAT(kinds_of({{1, 5, 0}, {2, 5, 0}}), ElementsAre(kThrew, kThrew)) << "the same sample";
  EXPECT_THAT(kinds_of({{0, 4, 0}, {1, 5, 0}, {1, 6, 0}}), ElementsAre(kThrew, kThrew, kThrew))
      << "it throws in a worker's first epoch too";
  EXPECT_THAT(kinds_of({{1, 5, 0}, {1, 6, 1}}), ElementsAre(kThrew, kThrew)) << "a fresh worker";
}

TEST(Verdicts, SamplesThatAreToldAsOneAreAllNamed) {
  RunFolderBuilder run;
  scenario("StateLeftBehind").build(run);
  EXPECT_THAT(run.diagnose().verdicts.front().evidence, Contains(HasSubstr("samples 568, 569")));
}

TEST(Verdicts, WhoHasTheShardOfAnotherIsNamed) {
  const auto line_of = [](const std::string& ranks) {
    RunFolderBuilder run(4);
    run.main(0).incident_at({0, -1, -1}, Event::kDisagreement, Stage::kAgree,
                            "kind=shards_identical " + ranks);
    return one_line(run.diagnose().verdicts.front());
  };
  EXPECT_THAT(line_of("rank=-1 ranks=1,2,3"), HasSubstr("epoch (all ranks alike)"));
  EXPECT_THAT(line_of("rank=1 ranks=1,3"), HasSubstr("(those of a lower rank again on 1,3)"));
}

TEST(Verdicts, AStoppedRankThatOnlyLaunchSawIsToldWithItsPlace) {
  RunFolderBuilder run;
  run.main(1).begin({0, 71, -1});
  run.main(1).record(Event::kForwardCalled, Stage::kForward);
  run.launch().incident(Event::kObservation, Stage::kNone, "who=rank1.main state=T cpu_ms=1", 101);
  const Verdict verdict = run.diagnose().verdicts.front();
  EXPECT_THAT(one_line(verdict),
              HasSubstr("rank 1: batch 71 (epoch 0) in forward: the rank is stopped"));
  EXPECT_THAT(verdict.evidence, Contains(HasSubstr("was seen: state T")));
}

TEST(Verdicts, RanksThatNeverCameAreToldAsOne) {
  RunFolderBuilder run(4);
  scenario("RankMissing").build(run);
  run.main(2).record(Event::kStarting, Stage::kSetup);
  // What hung before its program was there, launch had to end.
  run.launch().incident(Event::kRankEnded, Stage::kNone, "ended by launch", 15, 1);
  const Diagnosis diagnosis = run.diagnose();
  ASSERT_EQ(diagnosis.verdicts.size(), 1u) << describe(diagnosis);
  EXPECT_EQ(one_line(diagnosis.verdicts.front()),
            "rank 1: in setup: the rank never came (nor did 3)");
}

TEST(Verdicts, AJobThatWasKilledAsAWholeIsNotCalledHung) {
  RunFolderBuilder run;
  scenario("InProgress").build(run);
  for (int rank : {0, 1}) {
    for (trace::Writer* writer :
         {&run.main(rank), &run.loader_watch(rank), &run.step_watch(rank)}) {
      run.make_older(*writer, 60);
    }
  }
  run.make_older(run.worker(1, 0), 60);
  run.make_older(run.launch(), 60);
  const Verdict verdict = run.diagnose().verdicts.front();
  EXPECT_EQ(verdict.kind, Kind::kNothingWrong);
  EXPECT_FALSE(verdict.sure);
  EXPECT_THAT(verdict.evidence, Contains(HasSubstr("as a whole")));
}

TEST(Report, WarningsAreNotesAndNoCause) {
  RunFolderBuilder run;
  scenario("Clean").build(run);
  for (int rank : {0, 1}) {
    run.main(rank).incident(Event::kWarning, Stage::kSetup, "epoch 0 is started again");
  }
  const Diagnosis diagnosis = run.diagnose();
  EXPECT_EQ(diagnosis.verdicts.front().kind, Kind::kNothingWrong);
  EXPECT_THAT(diagnosis.notes, ElementsAre("ranks 0, 1: epoch 0 is started again"));
  EXPECT_THAT(to_screen(diagnosis, false), HasSubstr("notes\n  - ranks 0, 1: epoch 0 is"));
  EXPECT_EQ(nlohmann::json::parse(to_json(diagnosis))["notes"].size(), 1u);
}

TEST(Report, ANoiseFileIsToBeTakenOutOfItsOwnManifest) {
  for (const char* name : {"NoiseUnreadable", "NoiseBlocked", "MainBlockedInNoise"}) {
    RunFolderBuilder run;
    scenario(name).build(run);
    const Diagnosis diagnosis = run.diagnose();
    const std::string screen = to_screen(diagnosis, false);
    EXPECT_THAT(screen, HasSubstr("item 568 of batch 71 (epoch 0) in noise_mix of /noise/c d.wav"));
    EXPECT_THAT(screen, HasSubstr("remove the file from the noise manifest"));
    EXPECT_THAT(to_json(diagnosis), HasSubstr("noise_prob: 0"));
    EXPECT_THAT(diagnosis.verdicts.front().evidence, Contains(HasSubstr("for /corpus/a b.wav")));
  }
}

TEST(Report, OneScreenSaysWhereSinceWhenAndWhatToDo) {
  RunFolderBuilder run;
  scenario("FeaturizerHangsForGood").build(run);
  const std::string screen = to_screen(run.diagnose(), false);
  EXPECT_THAT(screen, HasSubstr("rank 1 worker 0: item 568 of batch 71 (epoch 0) in featurize of "
                                "/corpus/a b.wav: the featurizer does not come back"));
  EXPECT_THAT(screen, HasSubstr("60."));
  EXPECT_THAT(screen, HasSubstr("(rank1.loader-watch.b71)"));
  EXPECT_THAT(screen, HasSubstr("audio_filepath is /corpus/a b.wav, or the end of that"));
  EXPECT_THAT(screen, Not(HasSubstr("\x1b")));
  EXPECT_LE(std::count(screen.begin(), screen.end(), '\n'), 24);
  EXPECT_THAT(to_screen(run.diagnose(), true), HasSubstr("\x1b["));
}

TEST(Report, ScreenTellsOnceWhatSeveralRanksSaw) {
  Verdict verdict;
  verdict.evidence = {"rank 1 is stopped (rank0.step-watch.b71)",
                      "rank 1 is stopped (rank2.step-watch.b71)", "rank 1 is late"};
  Diagnosis diagnosis;
  diagnosis.verdicts = {verdict};
  EXPECT_THAT(
      to_screen(diagnosis, false),
      HasSubstr("evidence\n  - rank 1 is stopped (rank0.step-watch.b71)\n  - rank 1 is late\n"));
}

TEST(Report, ScreenStaysOneScreenWithManyDummiesAndRanks) {
  RunFolderBuilder run(40);
  for (int rank = 0; rank < 40; ++rank) run.main(rank).record(Event::kStepStarted, Stage::kStep);
  for (int i = 0; i < 200; ++i) {
    run.main(0).incident_at({0, 1, i}, Event::kDummy, Stage::kAudioOpen, "reason=missing", 1, -1);
  }
  const std::string screen = to_screen(run.diagnose(), false);
  EXPECT_LE(std::count(screen.begin(), screen.end(), '\n'), 45);
  EXPECT_THAT(screen, HasSubstr("192 verdicts more"));
}

}  // namespace
}  // namespace batch71::diagnose
