// What a rank says it consumed.
#include "ddp/ledger.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>
#include <zlib.h>

#include <cerrno>
#include <cmath>
#include <cstring>
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

}  // namespace

Ledger::Ledger(const std::string& path, int rank) : rank_(rank) {
  if (path.empty()) return;
  fd_ = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd_ < 0) throw UsageError(path + ": cannot write the ledger: " + std::strerror(errno));
}

Ledger::~Ledger() {
  if (fd_ >= 0) close(fd_);
}

void Ledger::append(const nlohmann::ordered_json& line) {
  const std::string whole = line.dump() + "\n";
  const ssize_t wrote = write(fd_, whole.data(), whole.size());
  if (wrote != static_cast<ssize_t>(whole.size())) {
    throw std::runtime_error(std::string("the ledger cannot be written: ") + std::strerror(errno));
  }
}

void Ledger::received(const loader::Batch& batch) {
  if (fd_ < 0) return;
  checksums_.clear();
  for (int64_t item = 0; item < batch.features.size(0); ++item) {
    checksums_.push_back(checksum(batch.features, item, batch.lengths.data_ptr<int64_t>()[item]));
  }
}

void Ledger::consumed(const loader::Batch& batch, double loss, bool is_repeat) {
  if (fd_ < 0) return;
  nlohmann::ordered_json line{
      {"rank", rank_}, {"epoch", batch.epoch}, {"batch", batch.batch}, {"indices", batch.indices}};
  line["dummies"] = nlohmann::json::array();
  for (const loader::DummyItem& dummy : batch.dummies) line["dummies"].push_back(dummy.index);
  line["checksums"] = checksums_;
  if (std::isfinite(loss)) line["loss"] = loss;
  if (is_repeat) line["repeat"] = true;
  append(line);
}

void Ledger::done(int64_t steps, int64_t dummies) {
  if (fd_ < 0) return;
  append({{"rank", rank_}, {"done", true}, {"steps", steps}, {"dummies", dummies}});
}

}  // namespace batch71::ddp
