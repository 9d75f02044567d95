// Real ranks for tests: forked processes that meet over Gloo, on data and with a model made for it.
#pragma once

#include <fcntl.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <torch/nn/module.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "ddp/job.h"
#include "ddp/model.h"
#include "loader/loader.h"
#include "trace/errors.h"
#include "trace/reader.h"
#include "trace/writer.h"

namespace batch71::ddp {

inline constexpr int kSampleRateHz = 16'000;
inline constexpr int64_t kFrames = 16;
inline constexpr int kRankDeadlineMs = 50'000;  // below ctest's own
// Samples of rank r's own shard are numbered from r * kShard.
inline constexpr int64_t kShard = 100;

using ModelOfRank = std::function<std::shared_ptr<Model>(int rank, const ModelSpec& spec)>;

inline JobConfig quick_config() {
  JobConfig config;
  loader::TrainDs& ds = config.loader.train_ds;
  ds.batch_size = 2;
  ds.num_workers = 0;
  ds.shuffle = false;
  ds.sample_rate = kSampleRateHz;
  config.loader.guards.verdict_grace_ms = 200;
  return config;
}

// What differs from test to test.
struct Case {
  std::vector<int64_t> sizes{8, 8};  // samples of each rank's own shard; or of the one data set
  bool sharded = false;
  uint64_t shard_digest = 0;  // of every rank's shard; 0: not told
  // The sample at an index of that rank; below 0: it cannot be loaded. Empty: as they are numbered.
  std::function<int64_t(int rank, int64_t index)> sample;
  std::map<int, int32_t> dry_after;  // rank: its stream ends after so many batches, unannounced
  ModelOfRank model;
  int odd_rank = -1;                       // has another seed
  std::map<int, int> startup_deadline_ms;  // by rank, where it is not the config's
  JobConfig config = quick_config();

  int world_size() const { return static_cast<int>(sizes.size()); }
  loader::TrainDs& ds() { return config.loader.train_ds; }
  loader::Guards& guards() { return config.loader.guards; }
  Trainer& trainer() { return config.trainer; }
};

// Sample n is a wave around n / 8.
class Waves : public loader::Dataset {
 public:
  Waves(int64_t size, std::function<int64_t(int64_t)> sample, uint64_t shard_digest)
      : size_(size), sample_(std::move(sample)), shard_digest_(shard_digest) {}
  int64_t size() const override { return size_; }
  double duration_s(int64_t) const override { return static_cast<double>(kFrames) / kSampleRateHz; }
  // What cannot be loaded has one too, of which something would be learnt.
  int64_t label(int64_t index) const override { return std::abs(sample_(index)) % 3; }
  int64_t num_classes() const override { return 3; }
  std::string file(int64_t index) const override { return "sample" + std::to_string(index); }
  uint64_t digest() const override { return 1; }
  uint64_t shard_digest() const override { return shard_digest_; }
  loader::Waveform load(int64_t index, trace::Writer&) override {
    const int64_t sample = sample_(index);
    if (sample < 0) {
      throw loader::ItemError(loader::BadItem::kMissing, file(index), "it is not there");
    }
    loader::Waveform wave{std::vector<float>(kFrames), kSampleRateHz};
    for (int64_t i = 0; i < kFrames; ++i) {
      const int64_t swing = (sample * 7 + i * 3) % 5 - 2;
      wave.samples[static_cast<size_t>(i)] =
          static_cast<float>(sample + 1) / 8 + static_cast<float>(swing) / 16;
    }
    return wave;
  }

 private:
  int64_t size_;
  std::function<int64_t(int64_t)> sample_;
  uint64_t shard_digest_;
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

// y = weight * mean(x), squared error.
class Line : public Model {
 public:
  Line() : weight_(register_parameter("weight", at::zeros({1}))) {}
  at::Tensor forward(const loader::Batch& batch) override {
    return batch.features.mean(at::IntArrayRef{1, 2}) * weight_;
  }
  at::Tensor loss_sum(const at::Tensor& outputs, const at::Tensor& labels) override {
    return (outputs - labels.to(at::kFloat)).square().sum();
  }

 protected:
  const at::Tensor& weight() const { return weight_; }

 private:
  at::Tensor& weight_;
};

// Writes down what became of a model when it goes.
class Remembered : public Model {
 public:
  Remembered(std::shared_ptr<Model> inner, std::string path)
      : inner_(register_module("inner", std::move(inner))), path_(std::move(path)) {}
  ~Remembered() override {
    nlohmann::json all;
    for (const at::Tensor& parameter : inner_->parameters()) {
      add(all["parameters"], parameter);
      if (parameter.grad().defined()) add(all["gradients"], parameter.grad());
    }
    for (const at::Tensor& buffer : inner_->buffers()) add(all["buffers"], buffer);
    std::ofstream(path_) << all;
  }
  at::Tensor forward(const loader::Batch& batch) override { return inner_->forward(batch); }
  at::Tensor loss_sum(const at::Tensor& outputs, const at::Tensor& labels) override {
    return inner_->loss_sum(outputs, labels);
  }

 private:
  static void add(nlohmann::json& list, const at::Tensor& tensor) {
    const at::Tensor flat = tensor.detach().flatten().to(at::kDouble);
    for (int64_t i = 0; i < flat.numel(); ++i) list.push_back(flat[i].item<double>());
  }

  std::shared_ptr<Model> inner_;
  std::string path_;
};

inline int free_port() {
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
  using json = nlohmann::json;

  Ranks() {
    std::string pattern = ::testing::TempDir() + "ranks-XXXXXX";
    folder_ = mkdtemp(pattern.data());
  }
  ~Ranks() override { std::filesystem::remove_all(folder_); }

  using Strike = std::function<void(const std::vector<pid_t>&)>;
  // The exit codes by rank; -1: it did not end in time, or not by itself. `strike` is called once all
  // have been started.
  std::vector<int> run(const Case& with, int port = free_port(), const Strike& strike = {}) {
    std::vector<pid_t> pids;
    for (int rank = 0; rank < with.world_size(); ++rank) {
      pids.push_back(fork());
      if (pids.back() == 0) be_rank(with, rank, port);
    }
    if (strike) strike(pids);
    std::vector<int> codes;
    for (const pid_t pid : pids) codes.push_back(exit_code(pid));
    return codes;
  }

  // What counts in a rank's ledger: a beginning takes back what a model of that many steps has not seen.
  std::vector<json> ledger(int rank) const {
    std::vector<json> lines;
    std::ifstream file(ledger_path(rank));
    for (std::string text; std::getline(file, text);) {
      const json line = json::parse(text, nullptr, false);
      if (line.is_discarded()) continue;  // torn, which only a full disk does
      if (line.contains("begin")) {
        std::erase_if(lines, [&](const json& above) {
          return above.contains("done") || above.at("step") >= line.at("steps");
        });
      } else {
        lines.push_back(line);
      }
    }
    return lines;
  }
  std::string ledger_path(int rank) const { return folder_ + "/ledger" + std::to_string(rank); }
  // "parameters", "gradients" of the last step, "buffers" of a rank's model, one after the other.
  std::vector<double> numbers(int rank, const std::string& kind = "parameters") const {
    std::ifstream file(folder_ + "/model" + std::to_string(rank));
    return json::parse(file).at(kind).get<std::vector<double>>();
  }
  double weight(int rank) const { return numbers(rank).at(0); }
  // The UsageError of a rank, or what else it threw.
  std::string error(int rank) const {
    std::ifstream file(folder_ + "/error" + std::to_string(rank));
    return {std::istreambuf_iterator<char>(file), {}};
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
  // Records of that event in the rank's main trace.
  int64_t times(int rank, trace::Event event) const {
    std::string why;
    const auto timeline =
        trace::read_timeline(folder_ + "/" + trace::file_name({trace::Role::kMain, rank}), &why);
    const std::vector<trace::Entry>& hot = timeline.value().hot;
    return std::count_if(hot.begin(), hot.end(),
                         [event](const trace::Entry& entry) { return entry.event == event; });
  }
  const std::string& folder() const { return folder_; }
  void start_anew() {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directory(folder_);
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
    set("BATCH71_LEDGER", ledger_path(rank));
    int code = static_cast<int>(ExitCode::kFailure);
    std::string why;
    try {
      code = static_cast<int>(run_job(config(with, rank), seams(with, rank)));
    } catch (const UsageError& error) {
      code = static_cast<int>(ExitCode::kUsage);
      why = error.what();
    } catch (const std::exception& error) {
      why = error.what();
    }
    std::ofstream(folder_ + "/error" + std::to_string(rank)) << why;
    _exit(code);
  }

  static JobConfig config(const Case& with, int rank) {
    JobConfig config = with.config;
    config.loader.train_ds.manifest_filepath = with.sharded ? "shard{rank}" : "all";
    if (rank == with.odd_rank) config.loader.train_ds.seed = 7;
    if (const auto own = with.startup_deadline_ms.find(rank);
        own != with.startup_deadline_ms.end()) {
      config.loader.guards.startup_deadline_ms = own->second;
    }
    return config;
  }

  Seams seams(const Case& with, int rank) const {
    Seams seams;
    seams.dataset = [with, rank] {
      const auto sample = [with, rank](int64_t index) {
        if (with.sample) return with.sample(rank, index);
        return with.sharded ? rank * kShard + index : index;
      };
      return std::make_unique<Waves>(with.sizes[static_cast<size_t>(rank)], sample,
                                     with.shard_digest);
    };
    seams.featurizer = [] { return std::make_unique<Copy>(); };
    seams.model = [path = folder_ + "/model" + std::to_string(rank), rank,
                   make = with.model](const ModelSpec& spec) {
      return std::make_shared<Remembered>(make ? make(rank, spec) : std::make_shared<Line>(), path);
    };
    if (const auto dry = with.dry_after.find(rank); dry != with.dry_after.end()) {
      seams.next_batch = [after = dry->second](loader::Loader& loader, int32_t, int32_t batch) {
        return batch == after ? std::nullopt : loader.next();
      };
    }
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

}  // namespace batch71::ddp
