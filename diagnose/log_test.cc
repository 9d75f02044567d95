// The merged log: the guide's own words, filters, and a reader that hangs up.
#include "diagnose/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <bit>
#include <cstdlib>
#include <sstream>

#include "diagnose/run_folder_test_util.h"
#include "trace/errors.h"

namespace batch71::diagnose {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using trace::Event;
using trace::Stage;

std::vector<std::string> lines_of(const trace::RunTrace& run, const LogFilters& filters) {
  char* data = nullptr;
  size_t size = 0;
  std::FILE* out = open_memstream(&data, &size);
  print_log(run, filters, out);
  std::fclose(out);
  std::vector<std::string> lines;
  std::istringstream text(std::string(data, size));
  std::free(data);
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  return lines;
}

LogFilters without_time() {
  LogFilters filters;
  filters.with_time = false;
  return filters;
}

void train_a_step(RunFolderBuilder& run) {
  trace::Writer& main = run.main(1);
  main.incident(Event::kSettings, Stage::kSetup, "world_size=4, shuffle=True, batch_size=8");
  main.incident(Event::kLoaderCreated, Stage::kSetup, "sampler=DistributedSampler, num_batches=88");
  trace::Writer& worker = run.worker(1, 0);
  worker.begin({0, 71, 568});
  worker.record(Event::kGetitemCalled, Stage::kGetitem);
  worker.record_text(Event::kAudioOpening, Stage::kAudioOpen, "/corpus/a b.wav");
  worker.record(Event::kAudioLoaded, Stage::kGetitem, 1, 4000);
  worker.record_text(Event::kNoiseOpening, Stage::kNoiseMix, "/noise/rain.wav");
  worker.record(Event::kNoiseReading, Stage::kNoiseMix);
  worker.record(Event::kNoiseReading, Stage::kNoiseMix, 4000);
  worker.record(Event::kNoiseMixed, Stage::kGetitem, 12'500, 4000);
  run.loader_watch(1).record(Event::kBeat, Stage::kNone);
  main.begin({0, 71, -1});
  main.record(Event::kStepStarted, Stage::kStep);
  main.record(Event::kForwardCalled, Stage::kForward);
  main.record(Event::kForwardDone, Stage::kLoss);
  main.record(Event::kLossDone, Stage::kStep, std::bit_cast<int64_t>(1.25));
}

TEST(Log, SpeaksTheGuidesOwnWordsInTheOrderOfTime) {
  RunFolderBuilder run;
  train_a_step(run);
  EXPECT_THAT(
      lines_of(run.read(), without_time()),
      ElementsAre(
          "[Rank 1] Setting up DataLoader with DDP: world_size=4, shuffle=True, batch_size=8",
          "[Rank 1] DataLoader created: sampler=DistributedSampler, num_batches=88",
          "[Rank 1] __getitem__(568) called",
          "[Rank 1] Loading audio from /corpus/a b.wav, index=568",
          "[Rank 1] Audio loaded, shape=(1, 4000), index=568",
          "[Rank 1] Loading noise from /noise/rain.wav, index=568",
          "[Rank 1] Reading the header of the noise, index=568",
          "[Rank 1] Reading noise, frames=4000, index=568",
          "[Rank 1] Noise mixed, snr=12.500 dB, samples=4000, index=568",
          "[Rank 1] Training step 71 STARTED, epoch=0", "[Rank 1] Batch 71 calling forward...",
          "[Rank 1] Batch 71 forward completed, computing loss...",
          "[Rank 1] Batch 71 loss computed, loss=1.2500"));
}

TEST(Log, SaysWhatWasAgreedOn) {
  RunFolderBuilder run;
  trace::Writer& main = run.main(0);
  main.record(Event::kAgreed, Stage::kStep);
  main.begin({0, -1, -1});
  main.record(Event::kAgreed, Stage::kStep);
  main.begin({0, 71, -1});
  main.record(Event::kAgreed, Stage::kStep);
  EXPECT_THAT(
      lines_of(run.read(), without_time()),
      ElementsAre("[Rank 0] Agreed", "[Rank 0] Epoch 0 agreed", "[Rank 0] Batch 71 agreed"));
}

TEST(Log, PrefixesTheTimeOfDay) {
  RunFolderBuilder run;
  train_a_step(run);
  EXPECT_THAT(
      lines_of(run.read(), {}).front(),
      MatchesRegex("[0-2][0-9]:[0-5][0-9]:[0-5][0-9]\\.[0-9]{6} \\[Rank 1\\] Setting up .*"));
}

TEST(Log, PrintsEveryIncidentAndTheWholeStack) {
  RunFolderBuilder run;
  run.worker(1, 0).incident_at({0, 71, 568}, Event::kError, Stage::kFeaturize, "bad\n#0 process()");
  run.loader_watch(1).incident_at({0, 71, 568}, Event::kObservation, Stage::kFeaturize,
                                  "who=rank1.worker0 state=R cpu_ms=12", 4711);
  run.loader_watch(1).incident_at({0, 71, 568}, Event::kKilledByWatch, Stage::kFeaturize, "", 4711,
                                  0);
  run.loader_watch(1).incident_at({0, 71, 568}, Event::kDummy, Stage::kFeaturize,
                                  "reason=stuck file=/a.wav why=too late", 8, 0);
  run.launch().incident(Event::kRankEnded, Stage::kNone, "", 9, 1);
  EXPECT_THAT(
      lines_of(run.read(), without_time()),
      ElementsAre("[Rank 1] ERROR, index=568: bad", "    #0 process()",
                  "[Rank 1] Observed, index=568: who=rank1.worker0 state=R cpu_ms=12",
                  "[Rank 1] Worker 0 killed by the watch, pid=4711, index=568",
                  "[Rank 1] DUMMY, index=568 in featurize: reason=stuck file=/a.wav why=too late",
                  "[Launch] Rank 1 killed by signal 9"));
}

TEST(Log, FiltersByRankBatchAndIndex) {
  RunFolderBuilder run;
  for (int rank : {0, 1}) {
    for (int i = 0; i < 10; ++i) {
      run.worker(rank, 0).begin({0, i, 560 + i});
      run.worker(rank, 0).record(Event::kGetitemCalled, Stage::kGetitem);
    }
  }
  LogFilters filters = without_time();
  filters.ranks = {1};
  filters.indices = parse_range("562-565");
  filters.batches = parse_range("4-9");
  EXPECT_THAT(lines_of(run.read(), filters),
              ElementsAre("[Rank 1] __getitem__(564) called", "[Rank 1] __getitem__(565) called"));
}

TEST(Log, TellsWhatIsOverwrittenButNotTheBeatsOfWatches) {
  RunFolderBuilder run;  // rings of 64 records
  for (int n = 0; n < 70; ++n) {
    run.main(1).record(Event::kAgreed, Stage::kStep);
    run.step_watch(0).record(Event::kBeat, Stage::kNone);
  }
  LogFilters filters = without_time();
  EXPECT_EQ(lines_of(run.read(), filters).at(0),
            "(rank1.main.b71: 6 older records are overwritten)");
  EXPECT_EQ(lines_of(run.read(), filters).size(), 1u + 64);
  filters.ranks = {0};
  EXPECT_TRUE(lines_of(run.read(), filters).empty());
}

TEST(Log, RefusesWhatIsNoRange) {
  EXPECT_EQ(parse_range("71").last, 71);
  for (const char* text : {"", "-", "a", "1-", "-1", "1-2-3", "9-1", "99999999999999999999"}) {
    EXPECT_THROW(parse_range(text), UsageError) << text;
  }
}

TEST(Log, EndsQuietlyWhenItsReaderHangsUp) {
  RunFolderBuilder run;
  for (int i = 0; i < 60; ++i)
    run.main(0).incident(Event::kError, Stage::kStep, std::string(4000, 'x'));
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  close(ends[0]);
  const auto before = signal(SIGPIPE, SIG_IGN);
  std::FILE* out = fdopen(ends[1], "w");
  print_log(run.read(), {}, out);
  EXPECT_NE(std::ferror(out), 0);
  std::fclose(out);
  signal(SIGPIPE, before);
}

}  // namespace
}  // namespace batch71::diagnose
