// The naive subject: the DDP audio loader that one writes first, for the controls of the fault gate.
//
// Forked workers decode and send through boost::interprocess::message_queue, libtorch averages gradients
// over Gloo. No deadline, no guard, and nothing of this project's loader, trace or ddp: so what it does
// under a fault is real. Waveforms padded to the batch's longest; workers live over all epochs, or for
// one if persistent_workers is false.
#include <ATen/Functions.h>
#include <dlfcn.h>
#include <sndfile.h>
#include <sys/wait.h>
#include <torch/nn/functional/loss.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>
#include <torch/utils.h>
#include <unistd.h>
#include <yaml-cpp/yaml.h>
#include <zlib.h>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <algorithm>
#include <boost/interprocess/ipc/message_queue.hpp>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <limits>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;
namespace ipc = boost::interprocess;

constexpr std::chrono::minutes kTimeout{30};  // PyTorch's
constexpr size_t kMessageBytes = size_t{1} << 20;
constexpr size_t kMessagesOfWorker = 16;

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr) throw std::runtime_error(std::string(name) + " is not set");
  return value;
}

struct Rank {
  int rank = std::stoi(variable("RANK"));
  int world_size = std::stoi(variable("WORLD_SIZE"));
};

struct Settings {
  std::string manifest;
  std::string noise_manifest;  // empty: no noise
  size_t batch_size = 8;
  int num_workers = 2;
  bool shuffle = true;
  uint32_t seed = 0;
  double min_duration = 0;
  double max_duration = 20;
  bool persistent_workers = true;
  size_t max_epochs = 1;
  bool is_sharded = false;  // every rank has a manifest of its own
};

Settings read_settings(int rank) {
  const YAML::Node config = YAML::LoadFile(variable("BATCH71_CONFIG"));
  const YAML::Node section = config["train_ds"];
  Settings settings;
  settings.manifest = section["manifest_filepath"].as<std::string>();
  settings.noise_manifest = section["noise_manifest_filepath"].as<std::string>("");
  settings.batch_size = section["batch_size"].as<size_t>(settings.batch_size);
  settings.num_workers = section["num_workers"].as<int>(settings.num_workers);
  settings.shuffle = section["shuffle"].as<bool>(settings.shuffle);
  settings.seed = section["seed"].as<uint32_t>(settings.seed);
  settings.min_duration = section["min_duration"].as<double>(settings.min_duration);
  settings.max_duration = section["max_duration"].as<double>(settings.max_duration);
  settings.persistent_workers = section["persistent_workers"].as<bool>(settings.persistent_workers);
  if (const YAML::Node trainer = config["trainer"]) {
    settings.max_epochs = trainer["max_epochs"].as<size_t>(settings.max_epochs);
  }
  if (const size_t at = settings.manifest.find("{rank}"); at != std::string::npos) {
    settings.manifest.replace(at, 6, std::to_string(rank));
    settings.is_sharded = true;
  }
  return settings;
}

struct Sample {
  std::string file;
  int64_t label = 0;
};

std::vector<Sample> read_manifest(const std::string& path, const Settings& settings) {
  std::vector<Sample> samples;
  std::map<std::string, int64_t> labels;
  std::ifstream manifest(path);
  for (std::string line; std::getline(manifest, line);) {
    const nlohmann::json entry = nlohmann::json::parse(line);
    const double duration = entry.at("duration");
    if (duration < settings.min_duration || duration > settings.max_duration) continue;
    const fs::path file =
        fs::path(path).parent_path() / entry.at("audio_filepath").get<std::string>();
    const auto next = static_cast<int64_t>(labels.size());
    const auto [label, is_new] = labels.emplace(entry.value("label", std::string()), next);
    samples.push_back({file.string(), label->second});
  }
  return samples;
}

// As DistributedSampler deals them out; a shard of its own is not dealt out.
std::vector<int64_t> indices_of(const Settings& settings, const Rank& rank, size_t num_samples,
                                size_t epoch) {
  std::vector<int64_t> order(num_samples);
  std::iota(order.begin(), order.end(), int64_t{0});
  std::mt19937 random(settings.seed + static_cast<uint32_t>(epoch));
  for (size_t i = 0; settings.shuffle && i + 1 < num_samples; ++i) {
    std::swap(order[i], order[i + random() % (num_samples - i)]);
  }
  if (settings.is_sharded) return order;
  const auto world = static_cast<size_t>(rank.world_size);
  const size_t rounded_up = (num_samples + world - 1) / world * world;
  for (size_t i = 0; order.size() < rounded_up; ++i) order.push_back(order[i]);
  std::vector<int64_t> mine;
  for (auto i = static_cast<size_t>(rank.rank); i < order.size(); i += world)
    mine.push_back(order[i]);
  return mine;
}

// A user's own code, where there is some.
class Plugin {
 public:
  Plugin() {
    if (std::getenv("USER_HOOKS") == nullptr) return;
    const fs::path beside_us = fs::read_symlink("/proc/self/exe").parent_path();
    void* library = dlopen((beside_us / "libuser_hooks.so").c_str(), RTLD_NOW);
    if (library == nullptr) throw std::runtime_error(dlerror());
    sample_ = reinterpret_cast<Call>(dlsym(library, "user_sample"));
    step_ = reinterpret_cast<Call>(dlsym(library, "user_step"));
    set_epoch_ = reinterpret_cast<Call>(dlsym(library, "user_set_epoch"));
    loss_ = reinterpret_cast<CallOfLoss>(dlsym(library, "user_loss"));
  }
  void set_epoch(size_t epoch) const {
    if (set_epoch_ != nullptr) set_epoch_(static_cast<int64_t>(epoch));
  }
  void sample(int64_t index) const {
    if (sample_ != nullptr) sample_(index);
  }
  void step(int64_t batch) const {
    if (step_ != nullptr) step_(batch);
  }
  double factor_of_loss(int64_t batch) const {
    const bool is_spoiled = loss_ != nullptr && loss_(batch) != 0;
    return is_spoiled ? std::numeric_limits<double>::quiet_NaN() : 1;
  }

 private:
  using Call = void (*)(int64_t);
  using CallOfLoss = int (*)(int64_t);
  Call sample_ = nullptr;
  Call step_ = nullptr;
  Call set_epoch_ = nullptr;
  CallOfLoss loss_ = nullptr;
};

std::vector<float> decode(const std::string& file) {
  SF_INFO info{};
  SNDFILE* sound = sf_open(file.c_str(), SFM_READ, &info);
  if (sound == nullptr) throw std::runtime_error(sf_strerror(nullptr));
  std::vector<float> samples(static_cast<size_t>(info.frames));
  sf_readf_float(sound, samples.data(), info.frames);
  sf_close(sound);
  return samples;
}

class Data {
 public:
  Data(const Settings& settings, const Rank& rank)
      : samples_(read_manifest(settings.manifest, settings)), batch_size_(settings.batch_size) {
    if (!settings.noise_manifest.empty()) {
      noises_ = read_manifest(settings.noise_manifest, settings);
    }
    for (size_t epoch = 0; epoch < settings.max_epochs; ++epoch) {
      indices_.push_back(indices_of(settings, rank, samples_.size(), epoch));
    }
  }

  size_t num_epochs() const { return indices_.size(); }
  size_t num_batches() const { return (indices_[0].size() + batch_size_ - 1) / batch_size_; }
  std::vector<int64_t> batch(size_t epoch, size_t number) const {
    const std::vector<int64_t>& all = indices_[epoch];
    const size_t end = std::min((number + 1) * batch_size_, all.size());
    return {all.begin() + static_cast<std::ptrdiff_t>(number * batch_size_),
            all.begin() + static_cast<std::ptrdiff_t>(end)};
  }
  int64_t label(int64_t index) const { return samples_[static_cast<size_t>(index)].label; }
  std::vector<float> features(int64_t index) const {
    std::vector<float> samples = decode(samples_[static_cast<size_t>(index)].file);
    if (!noises_.empty()) add_noise(noises_[static_cast<size_t>(index) % noises_.size()], samples);
    plugin_.sample(index);
    return samples;
  }
  const Plugin& plugin() const { return plugin_; }

 private:
  static void add_noise(const Sample& noise, std::vector<float>& samples) {
    const std::vector<float> added = decode(noise.file);
    constexpr float kGain = 0.1f;
    for (size_t i = 0; i < std::min(added.size(), samples.size()); ++i) {
      samples[i] += kGain * added[i];
    }
  }

  std::vector<Sample> samples_;
  std::vector<Sample> noises_;
  size_t batch_size_;
  std::vector<std::vector<int64_t>> indices_;  // of each epoch
  Plugin plugin_;
};

// Worker w decodes batches w, w + workers, ... of some epochs and sends them sample by sample through
// its own queue.
class Workers {
 public:
  Workers(const Data& data, int num_workers, size_t first_epoch, size_t end_epoch)
      : data_(data), first_epoch_(first_epoch), end_epoch_(end_epoch) {
    for (int worker = 0; worker < num_workers; ++worker) {
      names_.push_back("naive." + std::to_string(getpid()) + "." + std::to_string(worker));
      queues_.push_back(std::make_unique<ipc::message_queue>(
          ipc::create_only, names_.back().c_str(), kMessagesOfWorker, kMessageBytes));
    }
    for (int worker = 0; worker < num_workers; ++worker) {
      const pid_t pid = fork();
      if (pid == 0) work(static_cast<size_t>(worker));
      pids_.push_back(pid);
    }
  }
  void join() {
    for (const pid_t pid : pids_) waitpid(pid, nullptr, 0);
    for (const std::string& name : names_) ipc::message_queue::remove(name.c_str());
  }

  std::vector<float> next(size_t batch, int64_t index) {
    if (queues_.empty()) return data_.features(index);
    std::vector<float> message(kMessageBytes / sizeof(float));
    ipc::message_queue::size_type bytes = 0;
    unsigned priority = 0;
    queues_[batch % queues_.size()]->receive(message.data(), kMessageBytes, bytes, priority);
    message.resize(bytes / sizeof(float));
    return message;
  }

 private:
  [[noreturn]] void work(size_t worker) {
    for (size_t epoch = first_epoch_; epoch < end_epoch_; ++epoch) {
      data_.plugin().set_epoch(epoch);
      for (size_t batch = worker; batch < data_.num_batches(); batch += queues_.size()) {
        for (const int64_t index : data_.batch(epoch, batch)) {
          const std::vector<float> samples = data_.features(index);
          queues_[worker]->send(samples.data(), samples.size() * sizeof(float), 0);
        }
      }
    }
    _exit(0);
  }

  const Data& data_;
  size_t first_epoch_;
  size_t end_epoch_;
  std::vector<std::string> names_;
  std::vector<std::unique_ptr<ipc::message_queue>> queues_;
  std::vector<pid_t> pids_;
};

struct Batch {
  std::vector<int64_t> indices;
  std::vector<std::vector<float>> samples;
  at::Tensor features;
  at::Tensor labels;
};

Batch collate(const Data& data, Workers& workers, size_t epoch, size_t number) {
  Batch batch;
  batch.indices = data.batch(epoch, number);
  size_t longest = 1;
  for (const int64_t index : batch.indices) {
    batch.samples.push_back(workers.next(number, index));
    longest = std::max(longest, batch.samples.back().size());
  }
  const auto rows = static_cast<int64_t>(batch.indices.size());
  batch.features = at::zeros({rows, 1, static_cast<int64_t>(longest)});
  batch.labels = at::empty({rows}, at::kLong);
  for (int64_t row = 0; row < rows; ++row) {
    const std::vector<float>& samples = batch.samples[static_cast<size_t>(row)];
    std::copy(samples.begin(), samples.end(), batch.features[row].data_ptr<float>());
    batch.labels.data_ptr<int64_t>()[row] = data.label(batch.indices[static_cast<size_t>(row)]);
  }
  return batch;
}

class Model {
 public:
  at::Tensor loss(const Batch& batch) {
    const at::Tensor hidden = at::relu(convolution_->forward(batch.features)).mean(2);
    return torch::nn::functional::cross_entropy(head_->forward(hidden), batch.labels);
  }
  std::vector<at::Tensor> parameters() const {
    std::vector<at::Tensor> all = convolution_->parameters();
    for (const at::Tensor& parameter : head_->parameters()) all.push_back(parameter);
    return all;
  }

 private:
  static constexpr int64_t kHidden = 16;
  static constexpr int64_t kMostClasses = 16;
  torch::nn::Conv1d convolution_{torch::nn::Conv1dOptions(1, kHidden, 5).stride(4).padding(2)};
  torch::nn::Linear head_{kHidden, kMostClasses};
};

c10::intrusive_ptr<c10d::ProcessGroupGloo> connect(const Rank& rank) {
  c10d::TCPStoreOptions store;
  store.port = static_cast<uint16_t>(std::stoi(variable("MASTER_PORT")));
  store.isServer = rank.rank == 0;
  store.numWorkers = static_cast<size_t>(rank.world_size);
  store.timeout = kTimeout;
  auto options = c10d::ProcessGroupGloo::Options::create(kTimeout);
  options->devices.push_back(c10d::ProcessGroupGloo::createDeviceForHostname("127.0.0.1"));
  return c10::make_intrusive<c10d::ProcessGroupGloo>(
      c10::make_intrusive<c10d::TCPStore>(variable("MASTER_ADDR"), store), rank.rank,
      rank.world_size, options);
}

void step(Model& model, const at::Tensor& loss, c10d::ProcessGroupGloo& group) {
  loss.backward();
  constexpr double kLearningRate = 0.05;
  for (at::Tensor& parameter : model.parameters()) {
    std::vector<at::Tensor> gradient{parameter.mutable_grad()};
    group.allreduce(gradient)->wait();
    parameter.data().sub_(gradient[0], kLearningRate / group.getSize());
    parameter.mutable_grad().zero_();
  }
}

void write_ledger(std::ofstream& ledger, const Rank& rank, size_t epoch, size_t number,
                  const Batch& batch, double loss) {
  nlohmann::json line{{"rank", rank.rank},
                      {"epoch", epoch},
                      {"batch", number},
                      {"indices", batch.indices},
                      {"dummies", nlohmann::json::array()}};
  for (const std::vector<float>& samples : batch.samples) {
    char checksum[9];
    std::snprintf(checksum, sizeof checksum, "%08lx",
                  crc32(0, reinterpret_cast<const Bytef*>(samples.data()),
                        static_cast<uInt>(samples.size() * sizeof(float))));
    line["checksums"].push_back(checksum);
  }
  if (std::isfinite(loss)) line["loss"] = loss;
  ledger << line << std::endl;
}

void train() {
  const Rank rank;
  const Settings settings = read_settings(rank.rank);
  const Data data(settings, rank);
  const size_t epochs_of_workers = settings.persistent_workers ? data.num_epochs() : 1;
  auto workers = std::make_unique<Workers>(data, settings.num_workers, 0, epochs_of_workers);
  torch::manual_seed(settings.seed);
  Model model;
  const auto group = connect(rank);
  std::ofstream ledger(variable("BATCH71_LEDGER"), std::ios::app);
  for (size_t epoch = 0; epoch < data.num_epochs(); ++epoch) {
    if (epoch > 0 && !settings.persistent_workers) {
      workers->join();
      workers = std::make_unique<Workers>(data, settings.num_workers, epoch, epoch + 1);
    }
    data.plugin().set_epoch(epoch);
    for (size_t number = 0; number < data.num_batches(); ++number) {
      const Batch batch = collate(data, *workers, epoch, number);
      data.plugin().step(static_cast<int64_t>(number));
      const at::Tensor loss =
          model.loss(batch) * data.plugin().factor_of_loss(static_cast<int64_t>(number));
      step(model, loss, *group);
      write_ledger(ledger, rank, epoch, number, batch, loss.item<double>());
    }
  }
  workers->join();
  ledger << nlohmann::json{{"rank", rank.rank},
                           {"done", true},
                           {"steps", data.num_batches() * data.num_epochs()},
                           {"dummies", 0}}
         << std::endl;
}

}  // namespace

int main() {
  try {
    train();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    _exit(1);  // its workers may never end
  }
  return 0;
}
