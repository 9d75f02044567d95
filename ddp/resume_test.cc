// Tests of real ranks that are killed and started again: every sample is consumed once, and the model is
// that of a job that nothing happened to.
#include <ATen/ops/dropout.h>
#include <gmock/gmock.h>
#include <sys/resource.h>

#include <csignal>
#include <random>

#include "ddp/checkpoint_folder.h"
#include "ddp/classifier.h"
#include "ddp/ranks_test_util.h"

namespace batch71::ddp {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// The classifier behind a dropout: also what is drawn must come out the same. It kills its process in one
// forward, unless `place` is -1.
class Mortal : public Model {
 public:
  Mortal(const ModelSpec& spec, int32_t epoch, int32_t batch)
      : inner_(register_module("inner", classifier_factory(5)(spec))),
        epoch_(epoch),
        batch_(batch) {}
  at::Tensor forward(const loader::Batch& batch) override {
    if (batch.epoch == epoch_ && batch.batch == batch_) kill(getpid(), SIGKILL);
    loader::Batch dropped = batch;
    dropped.features = at::dropout(batch.features, 0.3, true);
    return inner_->forward(dropped);
  }
  at::Tensor loss_sum(const at::Tensor& outputs, const at::Tensor& labels) override {
    return inner_->loss_sum(outputs, labels);
  }

 private:
  std::shared_ptr<Model> inner_;
  int32_t epoch_;
  int32_t batch_;
};

// Where a rank is killed.
struct Place {
  int rank = -1;
  int32_t epoch = -1;
  int32_t batch = -1;
};

class Resume : public Ranks {
 protected:
  Case job(const std::vector<int64_t>& sizes = {20, 20}) const {
    Case with;
    with.sizes = sizes;
    with.ds().shuffle = true;
    with.guards().collective_deadline_ms = 5'000;
    with.trainer().max_epochs = 2;
    with.trainer().checkpoint_dir = folder() + "/kept";
    with.trainer().checkpoint_every_steps = 1;
    return killed_at(with, {});
  }
  static Case killed_at(Case with, const Place& place) {
    with.model = [place](int rank, const ModelSpec& spec) {
      const bool is_struck = rank == place.rank;
      return std::make_shared<Mortal>(spec, is_struck ? place.epoch : -1, place.batch);
    };
    return with;
  }

  struct Outcome {
    std::vector<std::vector<json>> ledgers;
    std::vector<double> parameters;
  };
  Outcome outcome(int world_size) const {
    Outcome all{{}, numbers(0)};
    for (int rank = 0; rank < world_size; ++rank) all.ledgers.push_back(ledger(rank));
    return all;
  }
  // What becomes of a job that nothing happens to. Leaves nothing.
  Outcome undisturbed(const Case& with) {
    EXPECT_THAT(run(with), Each(0));
    Outcome all = outcome(with.world_size());
    start_anew();
    return all;
  }
  void expect_same(const Outcome& got, const Outcome& wanted) {
    EXPECT_EQ(got.ledgers, wanted.ledgers);
    EXPECT_EQ(got.parameters, wanted.parameters);  // bit for bit
  }
  // Killed at these places, one after the other, then left alone: as if nothing had happened.
  void expect_resumes(const Case& with, const std::vector<Place>& places) {
    const Outcome wanted = undisturbed(with);
    for (const Place& place : places) {
      const std::vector<int> codes = run(killed_at(with, place));
      EXPECT_EQ(codes.at(static_cast<size_t>(place.rank)), -1);
      EXPECT_THAT(codes, Each(AnyOf(-1, static_cast<int>(ExitCode::kPeerLost))));
    }
    ASSERT_THAT(run(with), Each(0));
    expect_same(outcome(with.world_size()), wanted);
    EXPECT_THAT(said(trace::Event::kResumed), SizeIs(with.sizes.size()));
  }
  // Each rank ends with the same line, and nothing was consumed.
  void expect_refused(const Case& with, const std::string& why) {
    const std::vector<json> before = ledger(0);
    EXPECT_THAT(run(with), Each(static_cast<int>(ExitCode::kUsage)));
    for (int rank = 0; rank < with.world_size(); ++rank) {
      EXPECT_THAT(error(rank), AllOf(HasSubstr(why), HasSubstr("/kept")));
      EXPECT_EQ(error(rank), error(0));
    }
    EXPECT_EQ(ledger(0), before);
  }
};

TEST_F(Resume, AfterARankWasKilledInMidEpoch) { expect_resumes(job(), {{1, 0, 3}}); }

TEST_F(Resume, AfterRankZeroWasKilledInALaterEpoch) { expect_resumes(job(), {{0, 1, 2}}); }

TEST_F(Resume, AfterSeveralDeathsAlsoBeforeTheFirstCheckpoint) {
  Case with = job({18, 18, 18});
  with.trainer().checkpoint_every_steps = 2;
  with.sample = [](int, int64_t index) {
    return index == 7 ? -1 : index;
  };  // dummies are counted on
  const Outcome wanted = undisturbed(with);
  for (const Place& place : std::vector<Place>{{2, 0, 1}, {0, 0, 2}, {1, 1, 0}}) {
    EXPECT_EQ(run(killed_at(with, place)).at(static_cast<size_t>(place.rank)), -1);
  }
  ASSERT_THAT(run(with), Each(0));
  expect_same(outcome(3), wanted);
}

TEST_F(Resume, StepsAfterTheLastCheckpointAreTakenBackAndTakenAnew) {
  Case with = job();
  with.trainer().checkpoint_every_steps = 3;
  expect_resumes(with, {{1, 1, 2}});  // step 7; saved are 6
  std::ifstream file(ledger_path(1));
  int lines = 0;
  for (std::string line; std::getline(file, line);) ++lines;
  EXPECT_EQ(lines, 2 + 7 + 4 + 1);  // two beginnings, step 6 twice, the last word
}

TEST_F(Resume, StepsOfSeveralBatches) {
  Case with = job();
  with.trainer().accumulate_grad_batches = 2;
  expect_resumes(with, {{1, 0, 3}});
}

TEST_F(Resume, WhatWasFetchedAheadIsNotConsumed) {
  Case with = job();
  with.ds().num_workers = 1;
  with.ds().prefetch_factor = 4;
  expect_resumes(with, {{0, 0, 2}});
}

TEST_F(Resume, WithShadows) {
  Case with = job({12, 4});
  with.sharded = true;
  with.guards().uneven = loader::Uneven::kJoin;
  expect_resumes(with, {{1, 0, 4}});  // in a shadow's forward
}

TEST_F(Resume, OnlyRankZeroReadsTheWeights) {
  Case with = job();
  const Outcome wanted = undisturbed(with);
  run(killed_at(with, {0, 0, 3}));
  // The same model under another name: a user's wrapper on one rank.
  with.model = [make = with.model](int rank, const ModelSpec& spec) -> std::shared_ptr<Model> {
    if (rank == 0) return make(rank, spec);
    return std::make_shared<Remembered>(make(rank, spec), "/dev/null");
  };
  ASSERT_THAT(run(with), Each(0));
  expect_same(outcome(2), wanted);
}

// At any moment, also while the checkpoint is written: not seen from the inside.
TEST_F(Resume, AfterBeingKilledAnywhere) {
  const Case with = job({400, 400});
  const Outcome wanted = undisturbed(with);
  const uint32_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  constexpr int kKilled = 8;  // attempts
  constexpr uint32_t kLeastMs = 30;
  constexpr uint32_t kMostMs = 130;
  int attempts = 0;
  const auto strike = [&](const std::vector<pid_t>& pids) {
    if (attempts > kKilled) return;
    const pid_t pid = pids.at(random() % pids.size());
    pollfd ended{static_cast<int>(syscall(SYS_pidfd_open, pid, 0)), POLLIN, 0};
    poll(&ended, 1, static_cast<int>(kLeastMs + random() % (kMostMs - kLeastMs)));
    close(ended.fd);
    kill(pid, SIGKILL);
  };
  std::vector<int> codes{-1};
  while (codes != std::vector<int>{0, 0}) {
    ASSERT_LE(++attempts, kKilled + 1);
    codes = run(with, free_port(), strike);
  }
  expect_same(outcome(2), wanted);
  EXPECT_FALSE(fs::exists(folder() + "/kept/checkpoint.partial"));
}

TEST_F(Resume, AJobThatIsDoneHasNothingToDo) {
  Case with = job();
  ASSERT_THAT(run(with), Each(0));
  const Outcome wanted = outcome(2);
  ASSERT_THAT(run(with), Each(0));
  expect_same(outcome(2), wanted);
  with.trainer().max_epochs = 3;  // and goes on where it may
  ASSERT_THAT(run(with), Each(0));
  const Outcome longer = outcome(2);
  start_anew();
  expect_same(longer, undisturbed(with));
}

// A disk that is full for rank 1 alone. Rank 0 must not save a step that rank 1 could not write down.
TEST_F(Resume, TheWeightsAreNeverAheadOfALedger) {
  const Case with = job();
  const Outcome wanted = undisturbed(with);
  Case full = with;
  full.model = [make = with.model](int rank, const ModelSpec& spec) {
    if (rank == 1) {
      constexpr rlimit kBytes{700, 700};  // a few lines, and half of one
      setrlimit(RLIMIT_FSIZE, &kBytes);
      std::signal(SIGXFSZ, SIG_IGN);
    }
    return make(rank, spec);
  };
  EXPECT_THAT(run(full), ElementsAre(static_cast<int>(ExitCode::kPeerLost),
                                     static_cast<int>(ExitCode::kFailure)));
  const size_t written = ledger(1).size();
  EXPECT_GT(written, 0u);
  EXPECT_LT(written, wanted.ledgers[1].size());
  ASSERT_THAT(run(with), Each(0));
  expect_same(outcome(2), wanted);
}

// Takes its time to go.
class Slow : public Line {
 public:
  ~Slow() override { poll(nullptr, 0, 300); }
};

TEST_F(Resume, ARankThatLeavesLateIsRefusedLikeTheOthers) {
  Case with = job();
  run(killed_at(with, {1, 0, 3}));
  with.ds().seed = 9;
  with.model = [](int rank, const ModelSpec&) -> std::shared_ptr<Model> {
    return rank == 1 ? std::make_shared<Slow>() : std::make_shared<Line>();
  };
  expect_refused(with, "was saved with seed 0, this job has 9; go on with that, or name another");
}

TEST_F(Resume, AnotherWorldSizeSeedPlanOrModelIsRefused) {
  const Case with = job();
  run(killed_at(with, {1, 0, 3}));
  expect_refused(job({20, 20, 20}), "was saved with world size 2, this job has 3");
  Case other = with;
  other.ds().seed = 9;
  expect_refused(other, "was saved with seed 0, this job has 9; go on with that, or name another");
  other = with;
  other.ds().batch_size = 4;
  expect_refused(other, "was saved with the plan ");
  other = with;
  other.model = [](int, const ModelSpec&) { return std::make_shared<Line>(); };
  expect_refused(other, "was saved with parameters ");
  other.model = [make = with.model](int rank, const ModelSpec& spec) {
    return std::make_shared<Remembered>(make(rank, spec), "/dev/null");  // other names
  };
  expect_refused(other, "was saved of another model");
  EXPECT_THAT(run(with), Each(0));  // the checkpoint took no harm
}

TEST_F(Resume, ACheckpointThatIsNotWholeIsRefused) {
  const Case with = job();
  ASSERT_THAT(run(with), Each(0));
  const std::string path = folder() + "/kept/checkpoint";
  fs::resize_file(path, fs::file_size(path) - 1);
  expect_refused(with, "no whole checkpoint: it is cut; remove it");
}

TEST_F(Resume, LeftoversAreRemovedOrNamed) {
  const Case with = job();
  run(killed_at(with, {1, 0, 3}));
  const std::string partial = folder() + "/kept/checkpoint.partial";
  std::ofstream(partial) << "half of";
  ASSERT_THAT(run(with), Each(0));
  EXPECT_FALSE(fs::exists(partial));
  EXPECT_THAT(said(trace::Event::kEnding), IsEmpty());  // what the first attempt said lies apart
  const trace::RunTrace first = trace::read_run(folder() + "/earlier0");
  EXPECT_THAT(first.timelines, SizeIs(6));  // main and two watches of each rank
}

TEST_F(Resume, AFolderThatAnotherJobHasIsRefusedByName) {
  Case hasty = job();
  hasty.guards().shutdown_deadline_ms = 50;
  const CheckpointFolder ours(folder() + "/kept", 0);
  expect_refused(hasty, "(pid " + std::to_string(getpid()) + ")");
}

}  // namespace
}  // namespace batch71::ddp
