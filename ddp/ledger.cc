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

// CRC-32 over the valid frames of one item, row by row, as forward received them.
std::string checksum(const at::Tensor& item, int64_t frames) {
  uLong crc = crc32(0, nullptr, 0);
  for (int64_t row = 0; row < item.size(0); ++row) {
    const auto* floats = item.data_ptr<float>() + row * item.stride(0);
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

void Ledger::append(const std::string& line) {
  const std::string whole = line + "\n";
  [[maybe_unused]] const ssize_t wrote = write(fd_, whole.data(), whole.size());
}

void Ledger::consumed(const loader::Batch& batch, double loss, bool is_repeat) {
  if (fd_ < 0) return;
  nlohmann::ordered_json line{
      {"rank", rank_}, {"epoch", batch.epoch}, {"batch", batch.batch}, {"indices", batch.indices}};
  line["dummies"] = nlohmann::json::array();
  for (const loader::DummyItem& dummy : batch.dummies) line["dummies"].push_back(dummy.index);
  for (int64_t i = 0; i < batch.features.size(0); ++i) {
    line["checksums"].push_back(checksum(batch.features[i], batch.lengths.data_ptr<int64_t>()[i]));
  }
  if (std::isfinite(loss)) line["loss"] = loss;
  if (is_repeat) line["repeat"] = true;
  append(line.dump());
}

void Ledger::done(int64_t steps, int64_t dummies) {
  if (fd_ < 0) return;
  append(nlohmann::ordered_json{
      {"rank", rank_}, {"done", true}, {"steps", steps}, {"dummies", dummies}}
             .dump());
}

}  // namespace batch71::ddp
