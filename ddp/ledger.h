// What a rank says it consumed: one JSON line a batch, written whole, so that a kill loses no line
// that was written. A full disk may leave a torn one at the end; who begins there begins a line of his own.
// Format: docs/subjects.md.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
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

  // The rank begins with a model of that many steps: what stands above of later ones no longer counts.
  void begun(int64_t steps);
  // A batch that goes into the step under way; here, since forward may change what is in it.
  void received(const loader::Batch& batch, bool is_repeat);
  // The step was taken on what was received for it (or skipped by all, as nothing in it was valid: `loss`
  // is NaN then). Steps count from 0.
  void consumed(int64_t step, double loss);
  // What was written is on the disk afterwards.
  void sync();
  void done(int64_t steps, int64_t dummies);

 private:
  void append(const std::string& lines);

  int fd_ = -1;
  int rank_;
  bool is_torn_ = false;  // an earlier attempt's last line
  std::vector<nlohmann::ordered_json> received_;
};

}  // namespace batch71::ddp
