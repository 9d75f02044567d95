// Tests of real ranks: processes that meet over Gloo, on data and with a model made for it.
#include <ATen/ops/zeros.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

#include "ddp/job.h"
#include "ddp/model.h"
#include "trace/reader.h"

namespace batch71::ddp {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int kSampleRateHz = 16'000;
constexpr int64_t kFrames = 16;
constexpr int kRankDeadlineMs = 30'000;

// What differs from test to test.
struct Case {
  std::vector<int64_t> sizes{8, 8};  // samples of each rank's own shard; or of the one data set
  bool sharded = false;
  int batch_size = 2;
  int64_t bad_index = -1;  // cannot be loaded, on any rank
  int64_t nan_step = -1;   // rank 1's loss is NaN then
  int odd_rank = -1;       // has another seed
  int64_t error_budget = 100;
  loader::Uneven uneven = loader::Uneven::kFail;
  int world_size() const { return static_cast<int>(sizes.size()); }
};

class Numbers : public loader::Dataset {
 public:
  Numbers(int64_t size, int64_t bad_index) : size_(size), bad_index_(bad_index) {}
  int64_t size() const override { return size_; }
  double duration_s(int64_t) const override { return static_cast<double>(kFrames) / kSampleRateHz; }
  int64_t label(int64_t index) const override { return index % 3; }
  int64_t num_classes() const override { return 3; }
  std::string file(int64_t index) const override { return "sample" + std::to_string(index); }
  uint64_t digest() const override { return 1; }
  loader::Waveform load(int64_t index, trace::Writer&) override {
    if (index == bad_index_) {
      throw loader::ItemError(loader::BadItem::kMissing, file(index), "it is not there");
    }
    return {std::vector<float>(kFrames, static_cast<float>(index + 1) / 8), kSampleRateHz};
  }

 private:
  int64_t size_;
  int64_t bad_index_;
};

class Copy : public loader::Featurizer {
 public:
  int64_t channels() const override { return 1; }
  int64_t frames(int64_t num_samples) const override { return num_samples; }
  void process(const loader::Waveform& waveform, const loader::ItemId&,
               const loader::FeatureView& out) override {
    std::copy(waveform.samples.begin(), waveform.samples.end(), out.data);
  }
};

// y = weight * mean(x), squared error. Its last weight goes to a file.
class Line : public Model {
 public:
  Line(std::string path, int64_t nan_step)
      : path_(std::move(path)),
        nan_step_(nan_step),
        weight_(register_parameter("weight", at::zeros({1}))) {}
  ~Line() override { std::ofstream(path_) << std::hexfloat << weight_.item<double>(); }
  at::Tensor forward(const loader::Batch& batch) override {
    return batch.features.mean(at::IntArrayRef{1, 2}) * weight_;
  }
  at::Tensor loss_sum(const at::Tensor& outputs, const at::Tensor& labels) override {
    const double factor = step_++ == nan_step_ ? std::numeric_limits<double>::quiet_NaN() : 1;
    return (outputs - labels.to(at::kFloat)).square().sum() * factor;
  }

 private:
  std::string path_;
  int64_t nan_step_;
  int64_t step_ = 0;
  at::Tensor& weight_;
};

int free_port() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  bind(fd, reinterpret_cast<sockaddr*>(&address), size);
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  close(fd);
  return ntohs(address.sin_port);
}

class Ranks : public ::testing::Test {
 protected:
  Ranks() {
    std::string pattern = ::testing::TempDir() + "ranks-XXXXXX";
    folder_ = mkdtemp(pattern.data());
  }
  ~Ranks() override { fs::remove_all(folder_); }

  // The exit codes by rank; -1: it did not end in time, or not by itself.
  std::vector<int> run(const Case& with) {
    const int port = free_port();
    std::vector<pid_t> pids;
    for (int rank = 0; rank < with.world_size(); ++rank) {
      pids.push_back(fork());
      if (pids.back() == 0) be_rank(with, rank, port);
    }
    std::vector<int> codes;
    for (const pid_t pid : pids) codes.push_back(exit_code(pid));
    return codes;
  }

  std::vector<json> ledger(int rank) const {
    std::vector<json> lines;
    std::ifstream file(folder_ + "/ledger" + std::to_string(rank));
    for (std::string line; std::getline(file, line);) lines.push_back(json::parse(line));
    return lines;
  }
  double weight(int rank) const {
    std::ifstream file(folder_ + "/weight" + std::to_string(rank));
    std::string text;
    file >> text;
    return std::strtod(text.c_str(), nullptr);
  }
  // Texts of that incident, one of each rank that has it.
  std::vector<std::string> said(trace::Event event) const {
    std::vector<std::string> texts;
    for (const trace::Timeline& timeline : trace::read_run(folder_).timelines) {
      for (const trace::Entry& entry : timeline.incidents) {
        if (entry.event == event) texts.push_back(entry.text);
      }
    }
    return texts;
  }

 private:
  [[noreturn]] void be_rank(const Case& with, int rank, int port) {
    const auto set = [](const char* name, const std::string& value) {
      setenv(name, value.c_str(), 1);
    };
    set("RANK", std::to_string(rank));
    set("WORLD_SIZE", std::to_string(with.world_size()));
    set("MASTER_ADDR", "127.0.0.1");
    set("MASTER_PORT", std::to_string(port));
    set("BATCH71_RUN_DIR", folder_);
    set("BATCH71_LEDGER", folder_ + "/ledger" + std::to_string(rank));
    int code = static_cast<int>(ExitCode::kFailure);
    try {
      code = static_cast<int>(run_job(config(with, rank), seams(with, rank)));
    } catch (const std::exception& error) {
      std::fprintf(stderr, "rank %d: %s\n", rank, error.what());
    }
    _exit(code);
  }

  static JobConfig config(const Case& with, int rank) {
    JobConfig config;
    loader::TrainDs& ds = config.loader.train_ds;
    ds.manifest_filepath = with.sharded ? "shard{rank}" : "all";
    ds.batch_size = with.batch_size;
    ds.num_workers = 0;
    ds.shuffle = false;
    ds.seed = rank == with.odd_rank ? 7 : 0;
    ds.sample_rate = kSampleRateHz;
    config.loader.guards.error_budget = with.error_budget;
    config.loader.guards.uneven = with.uneven;
    return config;
  }

  Seams seams(const Case& with, int rank) const {
    Seams seams;
    seams.dataset = [with, rank] {
      return std::make_unique<Numbers>(with.sizes[static_cast<size_t>(rank)], with.bad_index);
    };
    seams.featurizer = [] { return std::make_unique<Copy>(); };
    seams.model = [path = folder_ + "/weight" + std::to_string(rank),
                   nan_step = rank == 1 ? with.nan_step : -1](const ModelSpec&) {
      return std::make_shared<Line>(path, nan_step);
    };
    return seams;
  }

  static int exit_code(pid_t pid) {
    const int pidfd = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
    pollfd ended{pidfd, POLLIN, 0};
    if (poll(&ended, 1, kRankDeadlineMs) != 1) kill(pid, SIGKILL);
    close(pidfd);
    int status = 0;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  std::string folder_;
};

TEST_F(Ranks, TwoTrainTogetherAndSayWhatTheyConsumed) {
  EXPECT_THAT(run({}), Each(0));
  const std::vector<json> lines = ledger(1);
  ASSERT_EQ(lines.size(), 3u);  // 8 samples, 2 ranks, batches of 2; and the last word
  EXPECT_EQ(lines[0]["indices"], json({1, 3}));
  EXPECT_EQ(lines[1]["indices"], json({5, 7}));
  EXPECT_EQ(lines[0]["loss"], ledger(0)[0]["loss"]);
  EXPECT_EQ(lines[2], json({{"rank", 1}, {"done", true}, {"steps", 2}, {"dummies", 0}}));
  EXPECT_EQ(weight(0), weight(1));
  EXPECT_NE(weight(0), 0);
}

TEST_F(Ranks, ADummyCountsForNothing) {
  Case two;
  two.sizes = {4, 4};
  two.bad_index = 3;  // of rank 1, whose batch is {1, 3}
  EXPECT_THAT(run(two), Each(0));
  EXPECT_EQ(ledger(1)[0]["dummies"], json({3}));
  const double together = weight(0);
  EXPECT_EQ(together, weight(1));
  Case one;  // the same valid samples in one process
  one.sizes = {3};
  one.batch_size = 3;
  EXPECT_THAT(run(one), Each(0));
  EXPECT_NEAR(weight(0), together, 1e-6);
  EXPECT_NE(together, 0);
}

TEST_F(Ranks, AStepWithoutAnythingValidIsSkippedByAll) {
  Case only;
  only.sizes = {2, 2};
  only.batch_size = 1;
  only.bad_index = 0;
  EXPECT_THAT(run(only), Each(0));  // rank 0 has nothing valid, rank 1 has
  EXPECT_EQ(weight(0), weight(1));
  EXPECT_NE(weight(0), 0);
  only.sizes = {1};
  EXPECT_THAT(run(only), Each(0));
  EXPECT_EQ(weight(0), 0);
}

TEST_F(Ranks, UnevenShardsFailByName) {
  Case uneven;
  uneven.sharded = true;
  uneven.sizes = {8, 6};
  EXPECT_THAT(run(uneven), Each(static_cast<int>(ExitCode::kRanksDisagree)));
  EXPECT_THAT(said(trace::Event::kDisagreement),
              ElementsAre(HasSubstr("kind=shards_uneven rank=1"), HasSubstr("batches=3 others=4")));
}

TEST_F(Ranks, UnevenShardsArePadded) {
  Case uneven;
  uneven.sharded = true;
  uneven.sizes = {8, 6};
  uneven.uneven = loader::Uneven::kPad;
  EXPECT_THAT(run(uneven), Each(0));
  const std::vector<json> lines = ledger(1);
  ASSERT_EQ(lines.size(), 5u);
  EXPECT_EQ(lines[3]["indices"], lines[0]["indices"]);
  EXPECT_TRUE(lines[3].value("repeat", false));
  EXPECT_FALSE(lines[2].value("repeat", false));
}

TEST_F(Ranks, UnevenShardsAreCutToTheShortest) {
  Case uneven;
  uneven.sharded = true;
  uneven.sizes = {8, 6};
  uneven.uneven = loader::Uneven::kDrop;
  EXPECT_THAT(run(uneven), Each(0));
  EXPECT_EQ(ledger(0).size(), 4u);
  EXPECT_EQ(ledger(1).size(), 4u);
  EXPECT_EQ(said(trace::Event::kDropped).size(), 2u);
}

TEST_F(Ranks, AnotherSeedIsFoundBeforeTheFirstStep) {
  Case odd;
  odd.odd_rank = 1;
  EXPECT_THAT(run(odd), Each(static_cast<int>(ExitCode::kRanksDisagree)));
  EXPECT_THAT(said(trace::Event::kDisagreement), Each(HasSubstr("rank=1 ranks=1 what=seed")));
  EXPECT_TRUE(ledger(0).empty());
}

TEST_F(Ranks, TheErrorBudgetIsOneForAll) {
  Case spent;
  spent.bad_index = 3;
  spent.error_budget = 0;
  EXPECT_THAT(run(spent), Each(static_cast<int>(ExitCode::kErrorBudgetSpent)));
  EXPECT_EQ(ledger(0).size(), ledger(1).size());
}

TEST_F(Ranks, ALossThatIsNotFiniteEndsAllBeforeTheOptimizer) {
  Case nan;
  nan.nan_step = 1;
  EXPECT_THAT(run(nan), Each(static_cast<int>(ExitCode::kNonFiniteLoss)));
  EXPECT_EQ(ledger(0).size(), 1u);
  EXPECT_EQ(ledger(1).size(), 1u);
}

}  // namespace
}  // namespace batch71::ddp
