// What a rank says it consumed.
#include "ddp/ledger.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>
#include <zlib.h>

#include <cerrno>
#include <cmath>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "trace/errors.h"

namespace batch71::ddp {
namespace {

// CRC-32 over the valid frames of one item, row by row, as forward receives them.
std::string checksum(const at::Tensor& features, int64_t item, int64_t frames) {
  uLong crc = crc32(0, nullptr, 0);
  for (int64_t row = 0; row < features.size(1); ++row) {
    const float* floats =
        features.data_ptr<float>() + item * features.stride(0) + row * features.stride(1);
    crc = crc32(crc, reinterpret_cast<const Bytef*>(floats),
                static_cast<uInt>(static_cast<size_t>(frames) * sizeof(float)));
  }
  return fmt::format("{:08x}", crc);
}

// So does what is empty, or no file.
bool ends_with_newline(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  char last = '\n';
  if (file.seekg(-1, std::ios::end)) file.get(last);
  return last == '\n';
}

}  // namespace

Ledger::Ledger(const std::string& path, int rank) : rank_(rank) {
  if (path.empty()) return;
  fd_ = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd_ < 0) throw UsageError(path + ": cannot write the ledger: " + std::strerror(errno));
  is_torn_ = !ends_with_newline(path);
}

Ledger::~Ledger() {
  if (fd_ >= 0) close(fd_);
}

// A disk that is full takes a part, and says why at the next attempt.
void Ledger::append(const std::string& lines) {
  size_t done = 0;
  while (done < lines.size()) {
    const ssize_t wrote = write(fd_, lines.data() + done, lines.size() - done);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) {
      throw std::runtime_error(fmt::format("the ledger cannot be written after {} of {} bytes: {}",
                                           done, lines.size(), std::strerror(errno)));
    }
    done += static_cast<size_t>(wrote);
  }
}

void Ledger::begun(int64_t steps) {
  if (fd_ < 0) return;
  const nlohmann::ordered_json line{{"rank", rank_}, {"begin", true}, {"steps", steps}};
  append((is_torn_ ? "\n" : "") + line.dump() + "\n");
}

void Ledger::sync() {
  if (fd_ >= 0 && fdatasync(fd_) != 0 && errno != EINVAL) {  // EINVAL: a pipe or a device
    throw std::runtime_error(std::string("the ledger cannot be written: ") + std::strerror(errno));
  }
}

void Ledger::received(const loader::Batch& batch, bool is_repeat) {
  if (fd_ < 0) return;
  nlohmann::ordered_json line{
      {"rank", rank_}, {"epoch", batch.epoch}, {"batch", batch.batch}, {"indices", batch.indices}};
  line["dummies"] = nlohmann::json::array();
  for (const loader::DummyItem& dummy : batch.dummies) line["dummies"].push_back(dummy.index);
  line["checksums"] = nlohmann::json::array();
  for (int64_t item = 0; item < batch.features.size(0); ++item) {
    const int64_t frames = batch.lengths.data_ptr<int64_t>()[item];
    line["checksums"].push_back(checksum(batch.features, item, frames));
  }
  if (is_repeat) line["repeat"] = true;
  received_.push_back(std::move(line));
}

void Ledger::consumed(int64_t step, double loss) {
  if (fd_ < 0) return;
  std::string lines;
  for (nlohmann::ordered_json& line : received_) {
    line["step"] = step;
    if (std::isfinite(loss)) line["loss"] = loss;
    lines += line.dump() + "\n";
  }
  received_.clear();
  if (!lines.empty()) append(lines);
}

void Ledger::done(int64_t steps, int64_t dummies) {
  if (fd_ < 0) return;
  const nlohmann::ordered_json line{
      {"rank", rank_}, {"done", true}, {"steps", steps}, {"dummies", dummies}};
  append(line.dump() + "\n");
}

}  // namespace batch71::ddp
