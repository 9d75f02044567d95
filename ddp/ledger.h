// What a rank says it consumed: one JSON line a batch, written whole, so that a kill loses no line
// that was written. Format: docs/subjects.md.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "loader/batch.h"

namespace batch71::ddp {

class Ledger {
 public:
  // "" : no ledger. UsageError where it cannot be written.
  Ledger(const std::string& path, int rank);
  ~Ledger();
  Ledger(const Ledger&) = delete;
  Ledger& operator=(const Ledger&) = delete;

  // Checksums of a batch, taken before forward may change it.
  void received(const loader::Batch& batch);
  // That batch was trained on (or had nothing valid anywhere: `loss` is NaN then).
  void consumed(const loader::Batch& batch, double loss, bool is_repeat);
  void done(int64_t steps, int64_t dummies);

 private:
  void append(const nlohmann::ordered_json& line);

  int fd_ = -1;
  int rank_;
  std::vector<std::string> checksums_;  // of the batch that was received last
};

}  // namespace batch71::ddp
