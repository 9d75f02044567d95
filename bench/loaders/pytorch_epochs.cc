// Starts PyTorch and talks with it.
#include "bench/loaders/pytorch_epochs.h"

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace batch71::bench {
namespace {

constexpr int kPatienceMs = 60'000;
constexpr const char* kProgram = "batch71-pytorch-epochs";

std::string text_of(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<float> floats_of(const std::string& path) {
  const std::string bytes = text_of(path);
  std::vector<float> floats(bytes.size() / sizeof(float));
  std::memcpy(floats.data(), bytes.data(), floats.size() * sizeof(float));
  return floats;
}

}  // namespace

PytorchEpochs::PytorchEpochs(const Clips& clips, int num_workers)
    : folder_(std::filesystem::temp_directory_path()) {
  std::array<int, 2> ends{};
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    throw std::runtime_error("no socket for PyTorch");
  }
  socket_ = launch::UniqueFd(ends[0]);
  const launch::UniqueFd its_end(ends[1]);
  const std::string config = folder_.path() + "/config.yaml";
  std::ofstream(config) << "train_ds:\n  manifest_filepath: " << clips.manifest()
                        << "\n  sample_rate: " << kSampleRateHz
                        << "\n  num_workers: " << num_workers << "\n";
  launch::ProcessSpec spec;
  spec.argv = {launch::sibling_program(kProgram), "--socket", std::to_string(its_end.get())};
  spec.env = {{"BATCH71_CONFIG", config}, {"OMP_NUM_THREADS", "1"}};
  spec.output_path = folder_.path() + "/said";
  spec.inherited_fds = {its_end.get()};
  child_ = launch::start_process(spec);
}

PytorchEpochs::~PytorchEpochs() {
  shutdown(socket_.get(), SHUT_RDWR);
  constexpr int kGoMs = 10'000;
  child_.wait(kGoMs);
}

void PytorchEpochs::fail(const std::string& why) const {
  throw std::runtime_error("PyTorch " + why + "; it said: " + text_of(folder_.path() + "/said"));
}

std::string PytorchEpochs::answer_to(const std::string& line) {
  if (send(socket_.get(), line.data(), line.size(), MSG_NOSIGNAL) < 0) fail("is gone");
  std::string answer;
  while (!answer.ends_with('\n')) {
    pollfd ready{socket_.get(), POLLIN, 0};
    if (poll(&ready, 1, kPatienceMs) <= 0) fail("does not answer");
    std::array<char, 4096> bytes{};
    const ssize_t got = recv(socket_.get(), bytes.data(), bytes.size(), 0);
    if (got <= 0) fail("has ended");
    answer.append(bytes.data(), static_cast<size_t>(got));
  }
  return answer;
}

PytorchEpochs::Epoch PytorchEpochs::run(bool with_features) {
  const std::string file = with_features ? folder_.path() + "/features" : "";
  const nlohmann::json said = nlohmann::json::parse(answer_to(file + "\n"));
  Epoch epoch{said.at("seconds"), said.at("indices").get<std::vector<int64_t>>(), {}};
  if (with_features) epoch.features = floats_of(file);
  return epoch;
}

}  // namespace batch71::bench
