// The pool against user code that throws, hangs, dies or stops; and that nothing stays behind.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <limits>
#include <thread>

#include <ATen/core/TensorBody.h>

#include "loader/child_process.h"
#include "loader/loader.h"
#include "loader/loader_parts.h"
#include "loader/worker_pool.h"
#include "trace/clock.h"
#include "trace/errors.h"
#include "trace/process_state.h"
#include "trace/reader.h"
#include "trace/run_folder.h"

// Code of a user: with a name that the program exports, as its stack traces need.
namespace user {
[[gnu::noinline]] void look_up_phoneme() { throw std::runtime_error("no such phoneme"); }
}  // namespace user

// ThreadSanitizer has a thread of its own in every process, and workers are forked from processes that
// have one; this ends it. Other builds have no such function, or one that does nothing.
extern "C" [[gnu::weak]] void __sanitizer_sandbox_on_notify(void*);

namespace batch71::loader {
namespace {

void end_threads_of_sanitizer() {
  if (__sanitizer_sandbox_on_notify == nullptr) return;
  __sanitizer_sandbox_on_notify(nullptr);
  // Who was joined may still be seen for a moment.
  constexpr uint64_t kPatienceNs = 5'000'000'000;
  const uint64_t until_ns = trace::monotonic_ns() + kPatienceNs;
  while (count_threads() > 1 && trace::monotonic_ns() < until_ns) sched_yield();
}

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using trace::Event;

constexpr int kRateHz = 1000;

// Sample `index` has 20 + index % 7 samples, made of its index.
class CountingDataset : public Dataset {
 public:
  explicit CountingDataset(int64_t size) : size_(size) { end_threads_of_sanitizer(); }
  int64_t size() const override { return size_; }
  double duration_s(int64_t index) const override {
    return static_cast<double>(20 + index % 7) / kRateHz;
  }
  int64_t label(int64_t index) const override { return index % 3; }
  int64_t num_classes() const override { return 3; }
  std::string file(int64_t index) const override { return "clip " + std::to_string(index); }
  uint64_t digest() const override { return 1; }
  Waveform load(int64_t index, trace::Writer&) override {
    Waveform waveform{std::vector<float>(static_cast<size_t>(20 + index % 7)), kRateHz};
    for (size_t i = 0; i < waveform.samples.size(); ++i) {
      waveform.samples[i] = static_cast<float>(index) + static_cast<float>(i) / 64;
    }
    return waveform;
  }

 private:
  int64_t size_;
};

// Of sample 9 it gives more than its duration says.
class OverlongDataset : public CountingDataset {
 public:
  using CountingDataset::CountingDataset;
  Waveform load(int64_t index, trace::Writer& trace) override {
    Waveform waveform = CountingDataset::load(index, trace);
    if (index == 9) waveform.samples.resize(2 * waveform.samples.size(), 71.0f);
    return waveform;
  }
};

using Act = std::function<void(const ItemId&)>;

// Two channels of the waveform; before that, whatever the test wants to happen.
class ActingFeaturizer : public Featurizer {
 public:
  explicit ActingFeaturizer(Act act) : act_(std::move(act)) {}
  int64_t channels() const override { return 2; }
  int64_t frames(int64_t num_samples) const override { return num_samples; }
  void process(const Waveform& waveform, const ItemId& id, const FeatureView& out) override {
    act_(id);
    for (int64_t channel = 0; channel < 2; ++channel) {
      for (int64_t i = 0; i < out.frames; ++i) {
        out.data[channel * out.row_stride + i] =
            waveform.samples[static_cast<size_t>(i)] * static_cast<float>(channel + 1);
      }
    }
  }

 private:
  Act act_;
};

[[noreturn]] void block_for_ever() {
  for (;;) pause();
}

Act at_index(int64_t index, std::function<void()> act) {
  return [index, act](const ItemId& id) {
    if (id.index == index) act();
  };
}
void nothing(const ItemId&) {}

// What a batch holds, to be compared.
struct Seen {
  std::vector<int64_t> indices;
  std::vector<float> features;
  std::vector<int64_t> lengths;
  std::vector<int64_t> dummies;
  std::vector<BadItem> reasons;
  bool operator==(const Seen&) const = default;
};

Seen seen(const Batch& batch) {
  Seen out;
  out.indices = batch.indices;
  const auto* values = batch.features.data_ptr<float>();
  out.features.assign(values, values + batch.features.numel());
  const auto* lengths = batch.lengths.data_ptr<int64_t>();
  out.lengths.assign(lengths, lengths + batch.lengths.numel());
  for (const DummyItem& dummy : batch.dummies) {
    out.dummies.push_back(dummy.index);
    out.reasons.push_back(dummy.reason);
    EXPECT_TRUE(batch.is_dummy.data_ptr<bool>()[dummy.position]);
  }
  return out;
}

// The pids of a process's children, by the kernel.
std::vector<int> children_of(int pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/task/" + std::to_string(pid) + "/children");
  std::vector<int> all;
  for (int child = 0; file >> child;) all.push_back(child);
  return all;
}

class WorkerPoolTest : public ::testing::Test {
 protected:
  void SetUp() override {
    end_threads_of_sanitizer();
    folder_ = trace::create_run_folder(root_);
    spec_.config.train_ds.batch_size = 4;
    spec_.config.train_ds.sample_rate = kRateHz;
    spec_.config.train_ds.manifest_filepath = "none";
    spec_.config.guards.item_deadline_ms = 300;
    spec_.run_folder = folder_;
    spec_.on_fatal = [this](const Fatal& fatal) { fatals_.push_back(fatal); };
  }
  void TearDown() override {
    fs::remove_all(root_);
    // Nobody of ours is left, not even as a zombie.
    siginfo_t info{};
    EXPECT_EQ(waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT), -1);
  }

  std::unique_ptr<Loader> make(int workers, Act act, int64_t size = 42) {
    spec_.config.train_ds.num_workers = workers;
    spec_.dataset = [size] { return std::make_unique<CountingDataset>(size); };
    spec_.featurizer = [act] { return std::make_unique<ActingFeaturizer>(act); };
    return std::make_unique<Loader>(spec_, trace_);
  }
  std::vector<Seen> epoch(Loader& loader, int32_t epoch = 0) {
    std::vector<Seen> all;
    loader.start_epoch(loader.plan(epoch));
    while (const auto batch = loader.next()) all.push_back(seen(*batch));
    return all;
  }
  std::vector<Seen> clean_epoch() {
    const auto loader = make(1, nothing);
    return epoch(*loader);
  }
  // Incidents of all writers of the run.
  std::vector<trace::Entry> incidents(Event event) {
    std::vector<trace::Entry> found;
    for (const trace::Timeline& timeline : trace::read_run(folder_).timelines) {
      for (const trace::Entry& entry : timeline.incidents) {
        if (entry.event == event) found.push_back(entry);
      }
    }
    return found;
  }
  // Of an epoch with `act`, the struck item is a dummy, all others are those of a clean run.
  void expect_only_dummy(int workers, const Act& act, int64_t index, BadItem reason) {
    const std::vector<Seen> clean = clean_epoch();
    expect_only_dummy(*make(workers, act), clean, index, reason);
  }
  void expect_only_dummy(Loader& loader, const std::vector<Seen>& clean, int64_t index,
                         BadItem reason) {
    const std::vector<Seen> got = epoch(loader);
    EXPECT_EQ(loader.dummies_total(), index < 0 ? 0 : 1);
    ASSERT_EQ(got.size(), clean.size());
    for (size_t i = 0; i < got.size(); ++i) {
      if (got[i] == clean[i]) continue;
      EXPECT_EQ(got[i].indices, clean[i].indices);
      EXPECT_EQ(got[i].lengths, clean[i].lengths);
      EXPECT_THAT(got[i].dummies, ElementsAre(index));
      EXPECT_THAT(got[i].reasons, ElementsAre(reason));
      expect_same_but(got[i], clean[i], index);
    }
  }
  static void expect_same_but(const Seen& got, const Seen& clean, int64_t index) {
    const size_t item = got.features.size() / got.indices.size();
    for (size_t at = 0; at < got.indices.size(); ++at) {
      const bool same =
          std::equal(got.features.begin() + static_cast<std::ptrdiff_t>(at * item),
                     got.features.begin() + static_cast<std::ptrdiff_t>((at + 1) * item),
                     clean.features.begin() + static_cast<std::ptrdiff_t>(at * item));
      EXPECT_EQ(same, got.indices[at] != index) << "item " << got.indices[at];
    }
  }

  const std::string root_ = fs::temp_directory_path() / ("pool-test-" + std::to_string(getpid()));
  std::string folder_;
  LoaderSpec spec_;
  trace::Writer trace_;
  std::vector<Fatal> fatals_;
};

TEST_F(WorkerPoolTest, DeliversTheSameBitsForAnyNumberOfWorkers) {
  const std::vector<Seen> one = clean_epoch();
  ASSERT_EQ(one.size(), 11u);
  for (const int workers : {0, 2}) {
    const auto loader = make(workers, nothing);
    EXPECT_EQ(epoch(*loader), one) << workers << " workers";
    EXPECT_NE(epoch(*loader, 1), one);
  }
}

TEST_F(WorkerPoolTest, AThrownExceptionCostsOneSampleAndNamesItsStack) {
  for (const int workers : {0, 2}) {
    // With 0 workers the error is in the training thread's trace, which this test does not write.
    expect_only_dummy(workers, at_index(9, user::look_up_phoneme), 9, BadItem::kThrew);
  }
  const auto errors = incidents(Event::kError);
  ASSERT_FALSE(errors.empty());
  EXPECT_THAT(errors[0].text,
              AllOf(HasSubstr("no such phoneme"), HasSubstr("\n  user::look_up_phoneme()")));
  EXPECT_EQ(errors[0].index, 9);
}

TEST_F(WorkerPoolTest, WhatIsNoExceptionIsCaughtToo) {
  expect_only_dummy(1, at_index(9, [] { throw 71; }), 9, BadItem::kThrew);
}

TEST_F(WorkerPoolTest, MoreThanWasDeclaredIsNotWrittenIntoTheSlot) {
  const std::vector<Seen> clean = clean_epoch();
  spec_.dataset = [] { return std::make_unique<OverlongDataset>(42); };
  for (const int workers : {0, 1}) {
    spec_.config.train_ds.num_workers = workers;
    Loader loader(spec_, trace_);
    expect_only_dummy(loader, clean, 9, BadItem::kTooLong);
  }
}

TEST_F(WorkerPoolTest, AStuckItemIsSeenKilledAndReplacedByADummy) {
  expect_only_dummy(2, at_index(17, block_for_ever), 17, BadItem::kStuck);
  const auto seen = incidents(Event::kObservation);
  const auto killed = incidents(Event::kKilledByWatch);
  const auto dummies = incidents(Event::kDummy);
  ASSERT_EQ(seen.size(), 1u);
  ASSERT_EQ(killed.size(), 1u);
  ASSERT_EQ(dummies.size(), 1u);
  EXPECT_THAT(seen[0].text,
              AllOf(HasSubstr("who=rank0.worker"), HasSubstr("state=S"), HasSubstr("pause")));
  EXPECT_EQ(seen[0].stage, trace::Stage::kFeaturize);
  EXPECT_LT(seen[0].sequence, killed[0].sequence);
  EXPECT_LT(killed[0].sequence, dummies[0].sequence);
  EXPECT_THAT(dummies[0].text, HasSubstr("reason=stuck worker_since_epoch=0 file=clip 17 why="));
  EXPECT_EQ(dummies[0].index, 17);
}

TEST_F(WorkerPoolTest, AStoppedWorkerIsAStuckItem) {
  expect_only_dummy(1, at_index(17, [] { raise(SIGSTOP); }), 17, BadItem::kStuck);
  EXPECT_THAT(incidents(Event::kObservation).at(0).text, HasSubstr("state=T"));
}

TEST_F(WorkerPoolTest, AKilledWorkerCostsTheItemItWasOn) {
  expect_only_dummy(2, at_index(17, [] { raise(SIGKILL); }), 17, BadItem::kWorkerLost);
  const auto exits = incidents(Event::kWorkerExited);
  ASSERT_EQ(exits.size(), 1u);
  EXPECT_EQ(exits[0].arg0, SIGKILL);
  EXPECT_EQ(exits[0].index, 17);
}

TEST_F(WorkerPoolTest, WhatEndsTheWholeProcessGroupIsTheRanksToAnswer) {
  const auto like_a_launcher = [] {
    for (const int each : {SIGINT, SIGTERM}) {
      kill(getppid(), each);  // the zygote
      raise(each);
    }
  };
  expect_only_dummy(1, at_index(17, like_a_launcher), -1, BadItem::kWorkerLost);
  EXPECT_THAT(fatals_, IsEmpty());
}

TEST_F(WorkerPoolTest, WorkersThatAreKilledOrStoppedWhileIdleCostNothing) {
  const std::vector<Seen> clean = clean_epoch();
  for (const int signal : {SIGKILL, SIGSTOP}) {
    const auto loader = make(2, nothing);
    EXPECT_EQ(epoch(*loader), clean);
    for (const int worker : children_of(children_of(getpid()).at(0))) kill(worker, signal);
    EXPECT_EQ(epoch(*loader), clean) << "signal " << signal;
    EXPECT_EQ(loader->dummies_total(), 0);
  }
}

TEST_F(WorkerPoolTest, AZygoteThatIsStoppedIsLostAndItsWorkersAreNotCalledDeaf) {
  spec_.config.guards.collective_deadline_ms = 1'000;
  auto loader = make(1, nothing, 4'000);
  loader->start_epoch(loader->plan(0));
  loader->next();
  const int zygote = children_of(getpid()).at(0);
  const int worker = children_of(zygote).at(0);
  kill(zygote, SIGSTOP);
  kill(worker, SIGKILL);
  EXPECT_THROW(while (true) epoch(*loader), LoaderFatal);
  EXPECT_EQ(fatals_.at(0).code, ExitCode::kZygoteLost);
  loader.reset();
  EXPECT_THAT(incidents(Event::kUnkillable), IsEmpty());
}

TEST_F(WorkerPoolTest, AnEarlyObservationIsWrittenOnce) {
  spec_.config.guards.observe_after_ms = 50;
  expect_only_dummy(
      1, at_index(5, [] { std::this_thread::sleep_for(std::chrono::milliseconds(150)); }), -1,
      BadItem::kStuck);
  EXPECT_EQ(incidents(Event::kObservation).size(), 1u);
  EXPECT_THAT(incidents(Event::kDummy), IsEmpty());
}

TEST_F(WorkerPoolTest, AFirstBadItemStopsTheJobIfThatIsWanted) {
  spec_.config.guards.on_bad_item = OnBadItem::kRethrow;
  for (const int workers : {0, 1}) {
    fatals_.clear();
    const auto loader = make(workers, at_index(9, [] { throw std::runtime_error("bad"); }));
    EXPECT_THROW(epoch(*loader), LoaderFatal);
    ASSERT_EQ(fatals_.size(), 1u);
    EXPECT_EQ(fatals_[0].code, ExitCode::kErrorBudgetSpent);
  }
}

TEST_F(WorkerPoolTest, ReplacementsAreLimited) {
  spec_.config.guards.max_respawns = 3;
  const auto loader = make(2, [](const ItemId&) { raise(SIGKILL); });
  EXPECT_THROW(epoch(*loader), LoaderFatal);
  EXPECT_THAT(fatals_.at(0).why, HasSubstr("max_respawns=3"));
}

TEST_F(WorkerPoolTest, AWorkerWhoseReplacementsDieStopsTheJobBeforeLong) {
  const auto loader = make(1, [](const ItemId&) { raise(SIGKILL); });
  EXPECT_THROW(epoch(*loader), LoaderFatal);
  EXPECT_EQ(fatals_.at(0).code, ExitCode::kCrashLoop);
  EXPECT_THAT(fatals_.at(0).why, HasSubstr("worker 0 died 4 times in a row"));
  EXPECT_EQ(loader->dummies_total(), kCrashLoopDeaths);
  const auto lost = incidents(Event::kLost);
  ASSERT_EQ(lost.size(), 1u);
  EXPECT_EQ(lost[0].text, "crash loop: deaths_in_a_row=4");
  EXPECT_EQ(lost[0].arg0, SIGKILL);
  EXPECT_EQ(lost[0].stage, trace::Stage::kFeaturize);
}

TEST_F(WorkerPoolTest, WorkersThatDieOfSomeSamplesAreNoCrashLoop) {
  spec_.config.train_ds.shuffle = false;
  spec_.config.guards.max_respawns = 100;
  const auto loader = make(1, [](const ItemId& id) {
    if (id.index % kCrashLoopDeaths != 0) raise(SIGKILL);
  });
  EXPECT_EQ(epoch(*loader).size(), 11u);
  EXPECT_EQ(loader->dummies_total(), 31);
  EXPECT_THAT(fatals_, IsEmpty());
}

TEST_F(WorkerPoolTest, WorkersThatTheWatchKillsAreNoCrashLoop) {
  spec_.config.guards.item_deadline_ms = 50;
  spec_.config.guards.max_respawns = kCrashLoopDeaths + 1;
  const auto loader = make(1, [](const ItemId&) { block_for_ever(); });
  EXPECT_THROW(epoch(*loader), LoaderFatal);
  EXPECT_EQ(fatals_.at(0).code, ExitCode::kErrorBudgetSpent);
}

TEST(RemoteWorker, WhoIsSlowToDieIsNotDeaf) {
  constexpr uint64_t kMs = 1'000'000;
  EXPECT_FALSE(is_deaf_to_sigkill('D', kUnkillableAfterMs * kMs));
  EXPECT_TRUE(is_deaf_to_sigkill('D', (kUnkillableAfterMs + 1) * kMs));
  for (const char state : {'R', 'S', 'T'}) {
    EXPECT_FALSE(is_deaf_to_sigkill(state, 10 * kUnkillableAfterMs * kMs));
    EXPECT_TRUE(is_deaf_to_sigkill(state, (kSlowDeathMs + 1) * kMs));
  }
}

TEST_F(WorkerPoolTest, AnEpochMayBeAbandoned) {
  const std::vector<Seen> clean = clean_epoch();
  const auto loader = make(2, nothing);
  loader->start_epoch(loader->plan(5));
  loader->next();
  EXPECT_EQ(epoch(*loader), clean);
  loader->start_epoch(loader->plan(6));
  EXPECT_EQ(epoch(*loader), clean);
}

// Warnings in the trace of the training thread, and what it said.
struct Warned {
  std::vector<std::string> in_trace;
  std::string on_stderr;
};

TEST_F(WorkerPoolTest, WhoForgetsToCountEpochsIsWarnedOnce) {
  const auto warned = [this](bool shuffle, std::vector<int32_t> epochs, size_t num_batches) {
    fs::remove_all(folder_);
    fs::create_directory(folder_);
    trace::Writer main(folder_, {trace::Role::kMain, 0, 1});
    spec_.config.train_ds.shuffle = shuffle;
    spec_.config.train_ds.num_workers = 0;
    spec_.dataset = [] { return std::make_unique<CountingDataset>(42); };
    spec_.featurizer = [] { return std::make_unique<ActingFeaturizer>(nothing); };
    Loader loader(spec_, main);
    ::testing::internal::CaptureStderr();
    for (const int32_t number : epochs) {
      loader.start_epoch(loader.plan(number));
      for (size_t batch = 0; batch < num_batches && loader.next(); ++batch) {
      }
    }
    Warned out;
    out.on_stderr = ::testing::internal::GetCapturedStderr();
    for (const trace::Entry& entry : incidents(Event::kWarning)) out.in_trace.push_back(entry.text);
    return out;
  };
  const Warned forgot = warned(true, {0, 0, 0}, 100);
  EXPECT_THAT(forgot.in_trace, ElementsAre(HasSubstr("epoch 0 is started again")));
  EXPECT_THAT(forgot.on_stderr,
              ::testing::StartsWith("[rank 0] warning: epoch 0 is started again"));
  EXPECT_EQ(std::count(forgot.on_stderr.begin(), forgot.on_stderr.end(), '\n'), 1);
  EXPECT_EQ(warned(true, {3, 3}, 1).in_trace.size(), 1u) << "left after a batch";
  for (const Warned& fine :
       {warned(true, {0, 1, 2}, 100), warned(false, {0, 0}, 100), warned(true, {0, 0}, 0)}) {
    EXPECT_THAT(fine.in_trace, IsEmpty());
    EXPECT_EQ(fine.on_stderr, "");
  }
}

TEST_F(WorkerPoolTest, WithoutPersistentWorkersEachEpochHasFreshOnes) {
  spec_.config.train_ds.persistent_workers = false;
  const auto loader = make(2, nothing);
  const std::vector<Seen> first = epoch(*loader);
  epoch(*loader, 1);
  EXPECT_EQ(epoch(*loader), first);
  EXPECT_TRUE(fs::exists(folder_ + "/rank0.worker0.g2.b71") ||
              fs::exists(folder_ + "/rank0.worker1.g2.b71"));
  EXPECT_THAT(incidents(Event::kWorkerExited), IsEmpty());
}

// Samples of that epoch which a process served that had served an earlier one.
std::function<bool(const ItemId&)> is_carried_over() {
  return [first = std::make_shared<int32_t>(-1)](const ItemId& id) {
    if (*first < 0) *first = id.epoch;
    return id.epoch > *first;
  };
}

TEST_F(WorkerPoolTest, WhatAnEpochLeavesInAWorkerIsGoneWithIt) {
  const Act act = [carried_over = is_carried_over()](const ItemId& id) {
    if (carried_over(id)) throw std::runtime_error("left over");
  };
  for (const bool persistent : {false, true}) {
    spec_.config.train_ds.persistent_workers = persistent;
    const auto loader = make(2, act);
    for (int32_t number = 0; number < 3; ++number) epoch(*loader, number);
    EXPECT_EQ(loader->dummies_total(), persistent ? 2 * 42 : 0);
  }
  const auto dummies = incidents(Event::kDummy);
  ASSERT_FALSE(dummies.empty());
  EXPECT_EQ(dummies[0].epoch, 1);
  EXPECT_THAT(dummies[0].text, HasSubstr("reason=threw worker_since_epoch=0 file="));
}

TEST_F(WorkerPoolTest, ManyEpochsOfFreshWorkersLeaveTheTracesOfOne) {
  spec_.config.train_ds.persistent_workers = false;
  const auto loader = make(2, [](const ItemId& id) {
    if (id.epoch == 7 && id.index == 3) throw std::runtime_error("evidence");
  });
  for (int32_t number = 0; number < 30; ++number) epoch(*loader, number);
  std::vector<std::string> traces;
  for (const auto& entry : fs::directory_iterator(folder_)) {
    const std::string name = entry.path().filename();
    if (name.starts_with("rank0.worker") && name.ends_with(".b71")) traces.push_back(name);
  }
  // Those that live, those before them (not all of which need be gone yet), and the one that threw.
  EXPECT_LE(traces.size(), 2u * 3 + 1);
  EXPECT_EQ(incidents(Event::kError).size(), 1u);
  EXPECT_TRUE(fatals_.empty());
}

TEST_F(WorkerPoolTest, SlotsComeBackWhenTheirTensorsAreFreed) {
  const auto loader = make(1, nothing, 400);
  EXPECT_EQ(epoch(*loader).size(), 100u);
}

TEST_F(WorkerPoolTest, WhoKeepsEveryBatchIsToldSo) {
  for (const int workers : {0, 1}) {
    fatals_.clear();
    const auto loader = make(workers, nothing, 400);
    loader->start_epoch(loader->plan(0));
    std::vector<Batch> kept;
    EXPECT_THROW(while (auto batch = loader->next()) kept.push_back(std::move(*batch)),
                 LoaderFatal);
    EXPECT_THAT(fatals_.at(0).why, HasSubstr("starved"));
    EXPECT_LT(kept.size(), 10u);
  }
}

TEST_F(WorkerPoolTest, ABatchOutlivesItsLoader) {
  auto loader = make(1, nothing);
  loader->start_epoch(loader->plan(0));
  const std::optional<Batch> batch = loader->next();
  const Seen before = seen(*batch);
  loader.reset();
  EXPECT_EQ(seen(*batch), before);
}

TEST_F(WorkerPoolTest, EndsInTimeWithAStuckWorker) {
  spec_.config.guards.item_deadline_ms = kGuardOffMs;
  spec_.config.train_ds.shuffle = false;
  auto loader = make(2, [](const ItemId& id) {
    if (id.index >= 4) block_for_ever();
  });
  loader->start_epoch(loader->plan(0));
  loader->next();  // so there are workers, who have begun with the next batch
  const uint64_t before_ns = trace::monotonic_ns();
  loader.reset();
  EXPECT_LT(trace::monotonic_ns() - before_ns,
            uint64_t{1'000'000} * static_cast<uint64_t>(spec_.config.guards.shutdown_deadline_ms));
}

TEST_F(WorkerPoolTest, AnUnusableFactoryIsAUsageError) {
  const pid_t rank = getpid();
  const auto make_with = [&](std::function<void()> in_zygote) {
    spec_.dataset = [rank, in_zygote]() -> std::unique_ptr<Dataset> {
      if (getpid() != rank) in_zygote();
      return std::make_unique<CountingDataset>(42);
    };
    spec_.featurizer = [] { return std::make_unique<ActingFeaturizer>(nothing); };
    Loader loader(spec_, trace_);
  };
  EXPECT_THAT([&] { make_with([] { throw std::runtime_error("no licence"); }); },
              ::testing::ThrowsMessage<UsageError>(HasSubstr("no licence")));
  EXPECT_THAT([&] { make_with([] { std::thread(block_for_ever).detach(); }); },
              ::testing::ThrowsMessage<UsageError>(HasSubstr("started a thread")));
}

TEST_F(WorkerPoolTest, AFactoryThatDoesNotComeBackIsAUsageErrorInTime) {
  spec_.config.guards.startup_deadline_ms = 300;
  const pid_t rank = getpid();
  spec_.dataset = [rank]() -> std::unique_ptr<Dataset> {
    if (getpid() != rank) block_for_ever();
    return std::make_unique<CountingDataset>(42);
  };
  spec_.featurizer = [] { return std::make_unique<ActingFeaturizer>(nothing); };
  EXPECT_THAT([&] { Loader(spec_, trace_); },
              ::testing::ThrowsMessage<UsageError>(HasSubstr("within startup_deadline_ms")));
}

// A worker that outlives its rank, deaf to SIGKILL, must keep no port of it; and a pipe that nobody reads
// would block it.
TEST_F(WorkerPoolTest, WorkersHaveNoneOfTheRanksDescriptors) {
  int pipe_fds[2];
  ASSERT_EQ(pipe(pipe_fds), 0);
  expect_only_dummy(1,
                    at_index(9,
                             [fd = pipe_fds[1]] {
                               if (fcntl(fd, F_GETFD) != -1)
                                 throw std::runtime_error("has the pipe");
                               const fs::path out = fs::read_symlink("/proc/self/fd/1");
                               if (out.filename() != "rank0.workers.log")
                                 throw std::runtime_error("has " + out.string());
                             }),
                    -1, BadItem::kThrew);
  close(pipe_fds[0]);
  close(pipe_fds[1]);
}

TEST_F(WorkerPoolTest, AProcessWithThreadsIsRefused) {
  std::atomic<bool> end{false};
  std::thread other([&end] { end.wait(false); });
  EXPECT_THROW(make(1, nothing), UsageError);
  end = true;
  end.notify_one();
  other.join();
}

bool is_gone_within(int pid, int ms) {
  const uint64_t until_ns = trace::monotonic_ns() + static_cast<uint64_t>(ms) * 1'000'000;
  while (trace::monotonic_ns() < until_ns) {
    const char state = trace::process_state(pid).state;
    if (state == 0 || state == 'Z') return true;  // its new parent may be slow to reap
    std::this_thread::yield();
  }
  return false;
}

TEST_F(WorkerPoolTest, ALostZygoteStopsTheJob) {
  const auto loader = make(2, nothing);
  loader->start_epoch(loader->plan(0));
  loader->next();
  const std::vector<int> zygotes = children_of(getpid());
  ASSERT_EQ(zygotes.size(), 1u);
  kill(zygotes[0], SIGKILL);
  EXPECT_THROW(while (true) epoch(*loader), LoaderFatal);
  EXPECT_EQ(fatals_.at(0).code, ExitCode::kZygoteLost);
  EXPECT_THAT(incidents(Event::kLost).at(0).text, HasSubstr("zygote"));
}

// The only worker of a loader; the zygote is this process's only child.
int only_worker() { return children_of(children_of(getpid()).at(0)).at(0); }

TEST_F(WorkerPoolTest, AnIdleWorkerThatIsKilledCostsNoSample) {
  spec_.config.guards.item_deadline_ms = 20'000;
  spec_.config.guards.observe_after_ms = 50;
  std::vector<Seen> clean;
  {
    const auto loader = make(1, nothing);
    clean = epoch(*loader, 1);
  }
  const auto loader = make(1, nothing);
  epoch(*loader);
  const int worker = only_worker();
  kill(worker, SIGSTOP);
  loader->start_epoch(loader->plan(1));
  while (incidents(Event::kObservation).empty()) std::this_thread::yield();  // it was given items
  kill(worker, SIGKILL);
  std::vector<Seen> got;
  while (const auto batch = loader->next()) got.push_back(seen(*batch));
  EXPECT_EQ(got, clean);
  EXPECT_EQ(loader->dummies_total(), 0);
  EXPECT_EQ(incidents(Event::kWorkerExited).size(), 1u);
}

TEST_F(WorkerPoolTest, AnIdleWorkerThatIsStoppedIsReplacedAndCostsNoSample) {
  std::vector<Seen> clean;
  {
    const auto loader = make(1, nothing);
    clean = epoch(*loader, 1);
  }
  const auto loader = make(1, nothing);
  epoch(*loader);
  kill(only_worker(), SIGSTOP);
  EXPECT_EQ(epoch(*loader, 1), clean);
  EXPECT_EQ(loader->dummies_total(), 0);
  EXPECT_THAT(incidents(Event::kObservation).at(0).text, HasSubstr("state=T"));
  EXPECT_EQ(incidents(Event::kKilledByWatch).size(), 1u);
}

TEST_F(WorkerPoolTest, ASpawnIsAnsweredBeforePeersLosePatience) {
  spec_.config.guards.collective_deadline_ms = 2'000;
  spec_.config.train_ds.num_workers = 1;
  spec_.dataset = [] { return std::make_unique<CountingDataset>(42); };
  spec_.featurizer = [] { return std::make_unique<ActingFeaturizer>(nothing); };
  WorkerPool pool(std::make_shared<LoaderParts>(spec_));
  kill(children_of(getpid()).at(0), SIGSTOP);
  const uint64_t begin_ns = trace::monotonic_ns();
  for (const uint64_t ms : {0, 900}) pool.act(begin_ns + ms * 1'000'000, 0, trace_);
  EXPECT_THAT(fatals_, IsEmpty());
  pool.act(begin_ns + 1'100'000'000, 0, trace_);
  ASSERT_EQ(fatals_.size(), 1u);
  EXPECT_EQ(fatals_[0].code, ExitCode::kZygoteLost);
}

TEST_F(WorkerPoolTest, APauseBeforeTheWatchsFirstTurnIsNobodysDelay) {
  spec_.config.train_ds.num_workers = 1;
  spec_.dataset = [] { return std::make_unique<CountingDataset>(42); };
  spec_.featurizer = [] { return std::make_unique<ActingFeaturizer>(nothing); };
  WorkerPool pool(std::make_shared<LoaderParts>(spec_));
  kill(children_of(getpid()).at(0), SIGSTOP);  // so that no answer comes before the turn
  pool.act(trace::monotonic_ns() + 60'000'000'000, 0, trace_);
  EXPECT_THAT(fatals_, IsEmpty());
}

// Whatever the pool waits for: what the watch overslept is not counted.
TEST_F(WorkerPoolTest, APauseIsNobodysDelay) {
  spec_.config.guards.collective_deadline_ms = 2'000;
  spec_.config.train_ds.num_workers = 1;
  spec_.dataset = [] { return std::make_unique<CountingDataset>(42); };
  spec_.featurizer = [] { return std::make_unique<ActingFeaturizer>(nothing); };
  WorkerPool pool(std::make_shared<LoaderParts>(spec_));
  kill(children_of(getpid()).at(0), SIGSTOP);  // so that no answer comes
  constexpr uint64_t kPausedNs = 60'000'000'000;
  const uint64_t begin_ns = trace::monotonic_ns();
  pool.act(begin_ns, 0, trace_);
  pool.act(begin_ns + kPausedNs, kPausedNs, trace_);
  EXPECT_THAT(fatals_, IsEmpty());
  pool.act(begin_ns + 2 * kPausedNs, 0, trace_);
  EXPECT_EQ(fatals_.size(), 1u);
}

// Sound samples, of which the featurizer's second channel makes infinity.
class LoudDataset : public CountingDataset {
 public:
  using CountingDataset::CountingDataset;
  Waveform load(int64_t index, trace::Writer& trace) override {
    Waveform waveform = CountingDataset::load(index, trace);
    if (index == 9) waveform.samples[3] = std::numeric_limits<float>::max();
    return waveform;
  }
};

TEST_F(WorkerPoolTest, FeaturesThatAreNoNumbersCostOneSample) {
  spec_.config.train_ds.num_workers = 0;
  spec_.dataset = [] { return std::make_unique<LoudDataset>(42); };
  spec_.featurizer = [] { return std::make_unique<ActingFeaturizer>(nothing); };
  Loader loader(spec_, trace_);
  std::vector<int64_t> dummies;
  for (const Seen& batch : epoch(loader)) {
    dummies.insert(dummies.end(), batch.dummies.begin(), batch.dummies.end());
    for (const BadItem reason : batch.reasons) EXPECT_EQ(reason, BadItem::kNotFinite);
  }
  EXPECT_THAT(dummies, ElementsAre(9));
}

// Runs `body` in a child of its own; its wait status.
int in_child(const std::function<void()>& body) {
  const pid_t pid = fork();
  if (pid == 0) {
    end_threads_of_sanitizer();
    body();
    _exit(0);
  }
  int status = 0;
  waitpid(pid, &status, 0);
  return status;
}

TEST_F(WorkerPoolTest, WorkersDieWithTheirRank) {
  auto* pids = static_cast<int*>(
      mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  const int status = in_child([&] {
    const auto loader = make(2, nothing);
    loader->start_epoch(loader->plan(0));
    loader->next();
    pids[0] = children_of(getpid()).at(0);
    const std::vector<int> workers = children_of(pids[0]);
    std::copy(workers.begin(), workers.end(), pids + 1);
    raise(SIGKILL);
  });
  EXPECT_TRUE(WIFSIGNALED(status));
  for (int i = 0; i < 3; ++i) {
    ASSERT_GT(pids[i], 0);
    EXPECT_TRUE(is_gone_within(pids[i], 5000)) << pids[i];
  }
  munmap(pids, 4096);
}

TEST_F(WorkerPoolTest, WithoutWorkersAStuckItemEndsTheRankInTime) {
  spec_.on_fatal = [](const Fatal& fatal) { _exit(static_cast<int>(fatal.code)); };
  const int status = in_child([&] {
    const trace::Writer main(folder_, {trace::Role::kMain, 0, 1});
    const auto loader = make(0, at_index(17, block_for_ever));
    epoch(*loader);
  });
  EXPECT_EQ(WEXITSTATUS(status), static_cast<int>(ExitCode::kItemStuck));
  const auto seen = incidents(Event::kObservation);
  ASSERT_EQ(seen.size(), 1u);
  EXPECT_THAT(seen[0].text, HasSubstr("who=rank0.main"));
  EXPECT_EQ(seen[0].index, 17);
}

}  // namespace
}  // namespace batch71::loader
