// What a rank says it consumed: one JSON line a batch, written whole, so that a kill loses no line
// that was written. Format: docs/subjects.md.
#pragma once

#include <cstdint>
#include <string>

#include "loader/batch.h"

namespace batch71::ddp {

class Ledger {
 public:
  // "" : no ledger.
  Ledger(const std::string& path, int rank);
  ~Ledger();
  Ledger(const Ledger&) = delete;
  Ledger& operator=(const Ledger&) = delete;

  void consumed(const loader::Batch& batch, double loss, bool is_repeat);
  void done(int64_t steps, int64_t dummies);

 private:
  void append(const std::string& line);
  int fd_ = -1;
  int rank_;
};

}  // namespace batch71::ddp
