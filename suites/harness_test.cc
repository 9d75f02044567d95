// Tests of the tests: each way in which fixtures or subjects could deceive must be red, for its own reason.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <set>

#include "faults/fault.h"
#include "fixtures/gate.h"
#include "fixtures/judge.h"
#include "fixtures/outcome.h"
#include "launch/becomes_true_test_util.h"
#include "launch/cgroup.h"
#include "launch/mark.h"
#include "launch/process.h"
#include "suites/case_book.h"
#include "suites/matchers.h"
#include "suites/pairwise.h"

namespace batch71::suites {
namespace {

namespace fs = std::filesystem;
using fixtures::Given;
using fixtures::Scenario;
using fixtures::Topology;
using launch::becomes_true;
using testing::HasSubstr;

constexpr Topology kShort{2, 1, 4, false, 12};
constexpr Topology kTwoEpochs{2, 1, 4, false, 6, 2};
constexpr faults::Where kPlace{.rank = 1, .batch = 5};

// --- Subjects with a vice ---

struct Vice {
  std::string name;
  std::string complaint;  // what must be said of it
};

const std::vector<Vice>& vices() {
  static const std::vector<Vice> kVices{{"exits_at_once", "consumed 0 of 12 batches"},
                                        {"lies", "arrived changed"},
                                        {"drops", "is where batch"},
                                        {"duplicates", "is where batch"},
                                        {"mixes_epochs", "is where epoch 1 should be"},
                                        {"fails", "rank 1 ended with code 1"},
                                        {"makes_it_up", "rank 1 told [rank 0: it was somebody"},
                                        {"leaks_process", "name=sleep"},
                                        {"leaks_segment", "/dev/shm/forgotten"},
                                        {"litters", "/var/tmp/forgotten"},
                                        {"tampers", "rank 1 ended with code 1"},
                                        {"leaks_mount", "/mnt"}};
  return kVices;
}

Scenario expected_to_fail(Scenario scenario) {
  scenario.keeps_failed_folder = false;
  return scenario;
}

Cases bad_subjects() {
  Cases cases;
  for (const Vice& vice : vices()) {
    Scenario scenario = Given(kTwoEpochs).Subject(BATCH71_BAD_SUBJECT).scenario();
    scenario.env = {{"VICE", vice.name},
                    {"REFERENCE", launch::sibling_program("batch71-reference")}};
    cases.push_back({vice.name, expected_to_fail(scenario)});
  }
  return cases;
}

class BadSubject : public CaseTest {};
TEST_P(BadSubject, IsRedForItsOwnReason) {
  const auto vice = std::find_if(vices().begin(), vices().end(),
                                 [](const Vice& each) { return each.name == GetParam().name; });
  EXPECT_THAT(result().complaints, testing::Contains(HasSubstr(vice->complaint)));
}
INSTANTIATE_TEST_SUITE_P(Each, BadSubject, testing::ValuesIn(book("BadSubject", bad_subjects())),
                         NameOfCase{});

// Vices that show only under a fault.
Cases struck_bad_subjects() {
  const auto with_vice = [](const char* vice, const char* fault) {
    Scenario scenario = Given(kShort)
                            .Inject(faults::find_fault(fault), kPlace)
                            .Subject(BATCH71_BAD_SUBJECT)
                            .scenario();
    scenario.env = {{"VICE", vice}, {"REFERENCE", launch::sibling_program("batch71-reference")}};
    return NamedCase{vice, expected_to_fail(scenario)};
  };
  return {with_vice("dawdles", "wav_nan"), with_vice("forgets", "forward_hang")};
}

class StruckBadSubject : public CaseTest {};
TEST_P(StruckBadSubject, IsRedForItsOwnReason) {
  const bool dawdles = GetParam().name == "dawdles";
  EXPECT_THAT(result().complaints,
              testing::Contains(HasSubstr(dawdles ? "ms after the strike" : "consumed 0 of 5")));
}
INSTANTIATE_TEST_SUITE_P(Each, StruckBadSubject,
                         testing::ValuesIn(book("StruckBadSubject", struck_bad_subjects())),
                         NameOfCase{});

// Not a vice: other people's subjects need no traces, and are judged without them.
Cases strangers() {
  Scenario scenario = Given(kShort)
                          .Inject(faults::find_fault("wav_nan"), kPlace)
                          .Subject(BATCH71_BAD_SUBJECT)
                          .scenario();
  scenario.env = {{"VICE", "untraced"},
                  {"REFERENCE", launch::sibling_program("batch71-reference")}};
  return {{"untraced", scenario}};
}

class Stranger : public CaseTest {};
TEST_P(Stranger, IsJudgedFromTheOutside) {
  EXPECT_FALSE(fixtures::is_judged_by_traces(run()));
  EXPECT_EQ(fixtures::outcome_of(run()), "goes on with 1 dummy");
  EXPECT_THAT(result().complaints, testing::IsEmpty());
  EXPECT_THAT(result(), testing::Not(LosesExactly(std::vector<int64_t>{})));
}
INSTANTIATE_TEST_SUITE_P(Each, Stranger, testing::ValuesIn(book("Stranger", strangers())),
                         NameOfCase{});

// --- Injectors and judges that deceive ---

// It claims to strike and does not.
faults::Fault dead_injector() {
  faults::Fault dead = faults::find_fault("wav_nan");
  dead.inject = [](const faults::Site&) { return faults::Injection{}; };
  return dead;
}

Cases deceptions() {
  static const faults::Fault kDead = dead_injector();
  const faults::Fault& hang = faults::find_fault("featurizer_hang");
  const faults::Fault& missing = faults::find_fault("file_missing");
  Cases cases{
      {"dead_injector", Given(kShort).Inject(kDead, kPlace).scenario()},
      {"late", Given(kShort)
                   .Inject(hang, kPlace)
                   .Guard("item_deadline_ms", "8000")
                   .Guard("observe_after_ms", "20000")
                   .Guard("collective_deadline_ms", "20000")
                   .scenario()},
      {"missing", Given(kShort).Inject(missing, kPlace).scenario()},
      {"missing_again", Given(kShort).Inject(missing, kPlace).scenario()},
      {"thrown", Given(kShort).Inject(faults::find_fault("featurizer_throw"), kPlace).scenario()}};
  for (NamedCase& named : cases) named.scenario = expected_to_fail(named.scenario);
  return cases;
}

class Deception : public CaseTest {};
TEST_P(Deception, IsSeen) {
  if (GetParam().name == "dead_injector") {
    EXPECT_THAT(result().complaints, testing::Contains(HasSubstr("vacuous")));
  } else if (GetParam().name == "late") {
    EXPECT_THAT(result().complaints, testing::Contains(HasSubstr("detected after")));
  } else {
    EXPECT_THAT(result().complaints, testing::IsEmpty());
    // Swapped plan: the verdict follows what was done, whatever the judge is told.
    EXPECT_THAT(result(), testing::Not(Names("audio_not_finite", *run().where)));
    // A verdict that always says "rank 1" is wrong of every other rank.
    faults::Where elsewhere = *run().where;
    elsewhere.rank = 0;
    EXPECT_THAT(result(), testing::Not(Names(run().scenario.plan->fault->verdict, elsewhere)));
    EXPECT_THAT(result(), testing::Not(LosesExactly(std::vector<int64_t>{})));
    // Nor does it do to guess the worker, or to leave out when it was seen.
    fixtures::CaseResult other = result();
    EXPECT_GE(other.run.struck_worker, 0);
    ++other.run.struck_worker;
    EXPECT_THAT(other, testing::Not(Names(run().scenario.plan->fault->verdict, *run().where)));
    other.run.diagnosis["verdicts"][0]["detected_ns"] = 0;
    EXPECT_THAT(other, testing::Not(EndsWithin()));
  }
}
INSTANTIATE_TEST_SUITE_P(Each, Deception, testing::ValuesIn(book("Deception", deceptions())),
                         NameOfCase{});

TEST(Judge, SeesAFaultThatIsNamed) {
  fixtures::CaseResult result;
  result.run.betrayals = {"rank0.main.b71 holds wav_nan"};
  EXPECT_THAT(result, testing::Not(BetraysNothing()));
}

TEST(Judge, SeesTwoStrikes) {
  fixtures::CaseResult result;
  result.run.scenario = Given(kShort).Inject(faults::find_fault("wav_nan"), kPlace).scenario();
  result.run.strikes.resize(1);
  EXPECT_THAT(result, StruckAsPlanned());
  result.run.strikes.resize(2);
  EXPECT_THAT(result, testing::Not(StruckAsPlanned()));
}

TEST(Judge, SeesAStrikeInSpiteOfTheRemedy) {
  Topology fresh = kTwoEpochs;
  fresh.persistent_workers = false;
  fixtures::CaseResult result;
  result.run.scenario =
      Given(fresh).Inject(faults::find_fault("worker_state_poisoned"), kPlace).scenario();
  EXPECT_THAT(result, StruckAsPlanned());
  result.run.strikes.resize(1);
  EXPECT_THAT(result, testing::Not(StruckAsPlanned()));
}

// What the readers make of a ledger of rank 0 with that text.
fixtures::Ledger ledger_of(const std::string& text) {
  std::string pattern = testing::TempDir() + "ledger-XXXXXX";
  const fs::path folder = mkdtemp(pattern.data());
  std::ofstream(folder / "rank0.jsonl") << text;
  fixtures::Ledger ledger = fixtures::read_ledgers(folder, 1);
  fs::remove_all(folder);
  return ledger;
}
std::string step_line(int step, int index) {
  return fmt::format(
      R"({{"rank":0,"epoch":0,"batch":{0},"step":{0},"indices":[{1}],"dummies":[],"checksums":[]}})"
      "\n",
      step, index);
}
std::string begin_line(int steps) {
  return fmt::format(R"({{"rank":0,"begin":true,"steps":{}}})"
                     "\n",
                     steps);
}

// A rank that begins again with a model of one step: its second step is taken anew.
TEST(Ledger, LeavesOutWhatALaterAttemptTookBack) {
  const std::string done = R"({"rank":0,"done":true,"steps":2,"dummies":0})"
                           "\n";
  const fixtures::Ledger ledger = ledger_of(begin_line(0) + step_line(0, 5) + step_line(1, 6) +
                                            done + begin_line(1) + step_line(1, 7) + done);
  EXPECT_THAT(ledger.problems, testing::IsEmpty());
  ASSERT_EQ(ledger.lines.size(), 2u);
  EXPECT_EQ(ledger.lines[0].indices, std::vector<int64_t>{5});
  EXPECT_EQ(ledger.lines[1].indices, std::vector<int64_t>{7});
  EXPECT_EQ(ledger.ends.size(), 1u);
}

TEST(Ledger, ForgivesATornLineOnlyWhereARankBeginsAfterIt) {
  const std::string torn = R"({"rank":0,"epo)"
                           "\n";
  EXPECT_THAT(ledger_of(step_line(0, 5) + torn + begin_line(1)).problems, testing::IsEmpty());
  EXPECT_THAT(ledger_of(step_line(0, 5) + torn + step_line(1, 6)).problems, testing::SizeIs(1));
  EXPECT_THAT(ledger_of(torn + torn + begin_line(0)).problems, testing::SizeIs(1));
  EXPECT_THAT(ledger_of(step_line(0, 5) + torn).problems, testing::SizeIs(1));
  EXPECT_THAT(ledger_of(step_line(0, 5) + "\n" + torn).problems,
              testing::ElementsAre("rank 0, line 3: not JSON; each line must be one JSON object"));
  EXPECT_THAT(ledger_of("{\"rank\":0,\"epoch\":0}\n").problems,
              testing::ElementsAre("rank 0, line 1: key 'batch' not found"));
}

// Four ranks, struck 2 s after their start; rank 1 is the struck one.
fixtures::Run struck_run(const std::string& fault) {
  fixtures::Run run;
  run.scenario = Given(kShort).Inject(faults::find_fault(fault), kPlace).scenario();
  run.where = kPlace;
  run.strikes = {{.monotonic_ns = 2'000'000'000, .pid = 1, .op = "read"}};
  for (int rank = 0; rank < 4; ++rank) {
    run.cell.ranks.push_back({.rank = rank,
                              .ended = true,
                              .signal = 15,
                              .ended_by_us = true,
                              .end_monotonic_ns = 6'500'000'000});
  }
  return run;
}

TEST(Outcome, TellsHangingFromDying) {
  fixtures::Run run = struck_run("featurizer_hang");
  EXPECT_EQ(fixtures::outcome_of(run), "hangs: it had to be ended after 4.5 s");
  run.cell.ranks[2] = {.rank = 2, .ended = true, .exit_code = 1, .end_monotonic_ns = 3'000'000'000};
  run.cell.ranks[3] = {.rank = 3, .ended = true, .exit_code = 7, .end_monotonic_ns = 3'000'000'001};
  EXPECT_EQ(fixtures::outcome_of(run),
            "dies: rank 2 first, with code 1; over after 4.5 s, 2 ranks had to be ended");
}

TEST(Outcome, TellsAGuardFromAnAccident) {
  fixtures::Run run = struck_run("forward_hang");
  for (launch::RankEnd& end : run.cell.ranks) {
    end = {.rank = end.rank, .ended = true, .exit_code = 26, .end_monotonic_ns = 4'000'000'000};
  }
  EXPECT_EQ(fixtures::outcome_of(run), "ends: rank 0 first, with code 26; over after 2.0 s");
}

TEST(Outcome, WhatWasNotStruckTellsNothing) {
  fixtures::Run run = struck_run("featurizer_hang");
  run.strikes.clear();
  EXPECT_EQ(fixtures::outcome_of(run), "it was not struck");
}

TEST(Outcome, TheRankThatTheFaultKillsIsNotTheJobDying) {
  fixtures::Run run = struck_run("rank_sigkill");
  run.cell.ranks[1] = {.rank = 1, .ended = true, .signal = 9, .end_monotonic_ns = 2'000'000'000};
  EXPECT_EQ(fixtures::outcome_of(run), "hangs: it had to be ended after 4.5 s");
}

TEST(Junit, SaysWhatFailedAndHowToRunItAgain) {
  fixtures::CaseResult result;
  result.run.scenario = Given(kShort).Inject(faults::find_fault("wav_nan"), kPlace).scenario();
  result.complaints = {"expected <a> & b"};
  const std::string xml = fixtures::to_junit({result});
  EXPECT_THAT(xml, HasSubstr("failures=\"1\""));
  EXPECT_THAT(xml, HasSubstr("expected &lt;a&gt; &amp; b"));
  EXPECT_THAT(xml, HasSubstr("--only 'wav_nan@rank=1,batch=5' --topology w2.k1.b4.in_order.n12"));
}

TEST(Replay, NamesEveryOptionThatTheCaseHad) {
  Scenario scenario = Given(kShort).Subject("./mine").scenario();
  const std::string plain =
      "batch71 gate --only 'none' --topology w2.k1.b4.in_order.n12 --subject ./mine";
  EXPECT_EQ(replay(scenario), plain);
  scenario.calls_hooks = false;
  scenario.job_deadline_ms = 5'000;
  EXPECT_EQ(replay(scenario), plain + " --no-hooks --job-deadline-ms 5000");
}

TEST(GateOptions, PlacesThatCannotBeAreRefusedBeforeAnythingStarts) {
  fixtures::GateOptions options;
  options.only = {"wav_nan@rank=7"};
  EXPECT_THAT([&] { fixtures::run_gate(options); },
              testing::ThrowsMessage<std::runtime_error>(HasSubstr("rank 7 of 4 cannot be")));
}

TEST(GateOptions, ASubjectThatIsNoProgramIsRefused) {
  fixtures::GateOptions options;
  for (const char* subject : {"refrence", "/no/such/program", "/tmp/"}) {
    options.subject = subject;
    EXPECT_THAT([&] { fixtures::run_gate(options); },
                testing::ThrowsMessage<std::runtime_error>(HasSubstr("is no program")));
  }
}

TEST(Control, HasWhatTheNaiveLoaderKnows) {
  Topology topology = kShort;
  topology.bucketed = true;
  const faults::Fault& fault = faults::find_fault("wav_nan");
  Scenario control = as_control(Given(topology).Inject(fault, {.batch = 5, .index = 9}).scenario());
  EXPECT_TRUE(control.is_control);
  EXPECT_EQ(
      replay(control),
      "batch71 gate --only 'wav_nan@rank=0,batch=5' --topology w2.k1.b4.in_order.n12 --subject "
      "naive");
  topology.bucketed = false;
  topology.uneven = fixtures::Uneven::kDrop;
  control = as_control(Given(topology).Inject(fault, {.batch = 5}).scenario());
  EXPECT_FALSE(control.topology.is_sharded());
  control = as_control(Given(kShort).Inject(fault, {.batch = 5, .index = 21}).scenario());
  EXPECT_EQ(control.plan->index, 21);
}

TEST(TopologyText, SurvivesItsName) {
  for (const char* text :
       {"w4.k2.b8.shuffle", "w1.k0.b4.in_order.n12", "w2.k1.b4.shuffle.n9.e3.fresh",
        "w2.k1.b4.shuffle.e2", "w4.k2.b8.shuffle.e2.fresh.buckets.noise",
        "w2.k0.b4.in_order.n8.pad", "w2.k1.b4.shuffle.drop", "w2.k1.b4.shuffle.fresh.noise.join"}) {
    EXPECT_EQ(fixtures::name(fixtures::parse_topology(text)), text);
  }
  EXPECT_THROW(fixtures::parse_topology("w2.k2.b8.shuffle.fresh.e2"), std::runtime_error);
  EXPECT_THROW(fixtures::parse_topology("w0.k2.b8.shuffle"), std::runtime_error);
}

// --- Pairwise rows ---

TEST(Pairwise, EveryTwoValuesMeet) {
  const std::vector<size_t> factors{9, 5, 2, 2, 4};
  const std::vector<PairRow> rows = pairwise(factors);
  for (size_t a = 0; a < factors.size(); ++a) {
    for (size_t b = a + 1; b < factors.size(); ++b) {
      std::set<std::pair<size_t, size_t>> met;
      for (const PairRow& row : rows) {
        ASSERT_LT(row.at(a), factors[a]);
        met.emplace(row.at(a), row.at(b));
      }
      EXPECT_EQ(met.size(), factors[a] * factors[b]) << a << " with " << b;
    }
  }
  EXPECT_EQ(rows, pairwise(factors));
}

TEST(Pairwise, HasFewRows) {
  EXPECT_LE(pairwise({3, 3, 2, 2, 4}).size(), 16u);  // 12 at the least, of 144
  EXPECT_LE(pairwise({9, 5, 2, 2, 4}).size(), 50u);  // 45 at the least, of 720
}

// pid -> parent, of all processes.
std::map<int, int> parents() {
  std::map<int, int> all;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    const int pid = std::atoi(entry.path().filename().c_str());
    if (pid <= 0) continue;
    std::string stat;
    std::getline(std::ifstream(entry.path() / "stat"), stat);
    const size_t after_name = stat.rfind(')');
    if (after_name != std::string::npos) all[pid] = std::atoi(stat.c_str() + after_name + 4);
  }
  return all;
}

std::set<int> descendants(int pid) {
  std::set<int> found{pid};
  const std::map<int, int> all = parents();
  for (size_t before = 0; before != found.size();) {
    before = found.size();
    for (const auto& [child, parent] : all) {
      if (found.contains(parent)) found.insert(child);
    }
  }
  found.erase(pid);
  return found;
}

bool any_is_there(const std::set<int>& pids) {
  return std::any_of(pids.begin(), pids.end(),
                     [](int pid) { return fs::exists("/proc/" + std::to_string(pid)); });
}

// --- The canary: what must fail is reported as failed, by exit code, in words and in XML ---

class Canary : public testing::Test {
 protected:
  void SetUp() override {
    if (const std::string missing = launch::cell_support().missing; !missing.empty()) {
      GTEST_SKIP() << missing;
    }
    folder_ = keeper_.make_temporary_folder(fs::temp_directory_path().string());
  }

  launch::Child start(std::vector<std::string> argv,
                      const std::map<std::string, std::string>& env = {}) {
    argv.front() = launch::sibling_program(argv.front());
    launch::ProcessSpec spec;
    spec.argv = std::move(argv);
    spec.env.insert(env.begin(), env.end());
    spec.output_path = folder_ + "/said";
    fs::remove(spec.output_path);
    return launch::start_process(spec);
  }

  // How it ended; what it said and wrote is in `said_` and `xml_`.
  int run(std::vector<std::string> argv, const std::map<std::string, std::string>& env = {}) {
    constexpr int kDeadlineMs = 60'000;
    launch::Child program = start(std::move(argv), env);
    if (!program.wait(kDeadlineMs)) return -1;
    said_ = contents(folder_ + "/said");
    xml_ = contents(folder_ + "/junit.xml");
    return program.ending()->exit_code();
  }

  // Of a job that reads no data.
  std::string config() const {
    std::ofstream(folder_ + "/train.yaml") << "train_ds:\n  manifest_filepath: none.json\n";
    return folder_ + "/train.yaml";
  }

  static std::string contents(const std::string& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  launch::Keeper keeper_;
  std::string folder_;
  std::string said_;
  std::string xml_;
};

TEST_F(Canary, AWrongExpectationFailsItsSuite) {
  EXPECT_EQ(run({"faults_suite", "--gtest_also_run_disabled_tests", "--gtest_filter=*Canary.*",
                 "--gtest_output=xml:" + folder_ + "/junit.xml"}),
            1);
  EXPECT_THAT(said_, HasSubstr("expected rank_killed"));
  EXPECT_THAT(said_,
              HasSubstr("[  FAILED  ] Clean/DISABLED_Canary.MustBeReportedAsFailed/nothing"));
  EXPECT_THAT(xml_, HasSubstr("<testsuites tests=\"1\" failures=\"1\""));
}

TEST_F(Canary, ASubjectThatLiesFailsTheGateAndAnHonestOneDoesNot) {
  for (const bool lies : {true, false}) {
    const std::map<std::string, std::string> env{
        {"VICE", lies ? "lies" : "none"},
        {"REFERENCE", launch::sibling_program("batch71-reference")}};
    EXPECT_EQ(run({"batch71", "gate", "--only", "none", "--subject", BATCH71_BAD_SUBJECT,
                   "--topology", "w2.k1.b4.in_order.n6", "--junit", folder_ + "/junit.xml"},
                  env),
              lies ? 1 : 0);
    EXPECT_THAT(said_, testing::ContainsRegex(lies ? "bad_subject.sh .* FAIL\n" : " pass\n"));
    EXPECT_THAT(said_, HasSubstr(lies ? "0 passed, 1 failed" : "1 passed, 0 failed"));
    EXPECT_THAT(xml_, HasSubstr(lies ? "failures=\"1\"" : "failures=\"0\""));
  }
}

TEST_F(Canary, AGateThatIsInterruptedHasWrittenWhatItFound) {
  constexpr int kDeadlineMs = 60'000;
  launch::Child gate =
      start({"batch71", "gate", "--only", "none", "forward_hang", "--no-controls", "--threads", "1",
             "--topology", "w2.k1.b4.in_order.n6", "--junit", folder_ + "/junit.xml"});
  EXPECT_TRUE(becomes_true(kDeadlineMs, [&] {
    xml_ = contents(folder_ + "/junit.xml");
    return xml_.find("tests=\"1\" failures=\"0\"") != std::string::npos &&
           xml_.ends_with("</testsuite>\n");
  })) << xml_;
  gate.send_signal(SIGTERM);
  ASSERT_TRUE(gate.wait(kDeadlineMs));
}

TEST_F(Canary, ARunThatCouldNotBeTracedEndsAsItsRanksDid) {
  for (const int code : {0, 3}) {
    const std::string script = "rm $BATCH71_RUN_DIR/*.b71; exit " + std::to_string(code);
    EXPECT_EQ(
        run({"batch71", "run", "-n", "1", "--config", config(), "--", "/bin/sh", "-c", script},
            {{"BATCH71_TRACE_DIR", folder_}}),
        code);
    EXPECT_THAT(said_, HasSubstr("no verdict: "));
    EXPECT_THAT(said_, testing::Not(HasSubstr("starting")));
  }
}

TEST_F(Canary, ARunThatIsInterruptedSaysWhereItsTracesAre) {
  constexpr int kDeadlineMs = 60'000;
  for (const auto& [signal, code] : std::map<int, int>{{SIGINT, 130}, {SIGTERM, 143}}) {
    launch::Child program = start({"batch71", "run", "-n", "2", "--config", config(), "--",
                                   "/bin/sh", "-c", "echo is up; exec sleep infinity"},
                                  {{"BATCH71_TRACE_DIR", folder_}});
    const auto said = [&] { return contents(folder_ + "/said"); };
    EXPECT_TRUE(becomes_true(kDeadlineMs, [&] {
      return said().find("[rank 0] is up") != std::string::npos &&
             said().find("[rank 1] is up") != std::string::npos;
    }));
    const std::set<int> ranks = descendants(program.pid());
    EXPECT_THAT(ranks, testing::SizeIs(2));
    program.send_signal(signal);
    ASSERT_TRUE(program.wait(kDeadlineMs));
    EXPECT_EQ(program.ending()->exit_code(), code);
    EXPECT_THAT(said(), HasSubstr("traces: " + folder_ + "/run-"));
    EXPECT_FALSE(any_is_there(ranks));
  }
}

TEST_F(Canary, ARankThatIsLostIsNoInterruption) {
  const std::string script =
      "[ $RANK = 1 ] && kill -9 $$; trap 'exit 130' TERM; sleep infinity & wait";
  EXPECT_EQ(run({"batch71", "run", "-n", "2", "--config", config(), "--", "/bin/sh", "-c", script},
                {{"BATCH71_TRACE_DIR", folder_}}),
            23);
  EXPECT_THAT(said_, HasSubstr("verdict: rank 1: the rank was killed"));
}

TEST_F(Canary, WordsThatMeanNothingAreUsageErrors) {
  EXPECT_EQ(run({"batch71", "dignose"}), 2);
  EXPECT_THAT(said_, HasSubstr("unknown command 'dignose'; the nearest known one is 'diagnose'"));
  EXPECT_EQ(run({"batch71", "run", "--config", config(), "--fault", ""}), 2);
  EXPECT_THAT(said_, HasSubstr("--fault: names no fault"));
  EXPECT_EQ(run({"batch71", "run", "--config", config(), "--", "no-such-program"},
                {{"BATCH71_TRACE_DIR", folder_}}),
            2);
  EXPECT_THAT(said_, HasSubstr("no-such-program: not found in PATH"));
}

// --- kill -9 of the gate, with a strike live ---

// Entries of the folder that the process made.
std::vector<fs::path> marked_in(const fs::path& folder, const std::string& mark) {
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().filename().string().starts_with(mark)) found.push_back(entry.path());
  }
  return found;
}

class GateIsKilled : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    if (const std::string missing = launch::cell_support().missing_fuse; !missing.empty()) {
      GTEST_SKIP() << missing;
    }
    launch::ProcessSpec gate;
    gate.argv = {launch::sibling_program("mortal_gate")};
    gate.output_path = "/dev/null";
    gate_ = launch::start_process(gate);
    mark_ = launch::mark_of(gate_.pid());
  }

  bool has_struck() const {
    for (const fs::path& folder : marked_in(fixtures::parent_of_case_folders(), mark_)) {
      std::error_code none;
      const uintmax_t bytes = fs::file_size(folder / "strikes.jsonl", none);
      if (!none && bytes > 0) return true;
    }
    return false;
  }

  std::string what_is_left(const std::set<int>& processes) const {
    std::string why;
    if (any_is_there(processes)) return "processes";
    if (!marked_in(launch::cgroup_root(&why), mark_).empty()) return "cgroups";
    if (!marked_in(fixtures::parent_of_case_folders(), mark_).empty()) return "folders";
    return "nothing";
  }

  static void kill_keepers(const std::set<int>& processes) {
    for (const int pid : processes) {
      std::string name;
      std::getline(std::ifstream("/proc/" + std::to_string(pid) + "/comm"), name);
      if (name == "batch71-keeper") kill(pid, SIGKILL);
    }
  }

  launch::Child gate_;
  std::string mark_;
};

TEST_P(GateIsKilled, LeavesNothingAfterFiveSeconds) {
  constexpr int kStartMs = 20'000;
  constexpr int kGoneMs = 5'000;
  ASSERT_TRUE(becomes_true(kStartMs, [&] { return has_struck(); }));
  std::mt19937 random(seed());
  constexpr uint32_t kMostMs = 1'000;
  poll(nullptr, 0, static_cast<int>(random() % kMostMs));
  const std::set<int> processes = descendants(gate_.pid());
  EXPECT_FALSE(processes.empty());
  if (GetParam()) kill_keepers(processes);
  gate_.send_signal(SIGKILL);
  ASSERT_TRUE(gate_.wait(kGoneMs));
  EXPECT_TRUE(becomes_true(kGoneMs, [&] { return !any_is_there(processes); }));
  // Names are all that is left without keepers; the next one removes them at its start.
  const auto next = GetParam() ? std::make_unique<launch::Keeper>() : nullptr;
  EXPECT_TRUE(becomes_true(kGoneMs, [&] { return what_is_left(processes) == "nothing"; }))
      << what_is_left(processes) << " are left; BATCH71_SEED=" << seed();
}
INSTANTIATE_TEST_SUITE_P(Each, GateIsKilled, testing::Bool(), [](const auto& param_info) {
  return param_info.param ? "AfterItsKeepers" : "Alone";
});

}  // namespace
}  // namespace batch71::suites
