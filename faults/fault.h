// A fault: one way in which a sample, a file, a worker or a rank goes wrong, and what must be seen of it.
//
// One file per fault defines it; catalogue.cc names it. Faults come from outside of the loader: these
// spoil the file of one sample in a corpus of the case's own.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace batch71::faults {

enum class Family { kData, kIo };

// Where a fault strikes: batches count from 0 in each epoch, indices are those of the manifest.
struct Where {
  int rank = 0;
  int batch = -1;
  int64_t index = -1;
};

struct Fault {
  std::string name;
  Family family{};
  std::string says;       // one sentence
  std::string how;        // how it is really done
  std::string unguarded;  // what a loader without guards does
  std::string verdict;    // name of the diagnose::Kind that must be found
  std::string stage;      // where the item must be found
  // Spoils `file`, which nobody else uses. Throws std::runtime_error.
  void (*spoil)(const std::string& file) = nullptr;
};

std::string_view name(Family family);

// All faults, in the order in which they came. A duplicate name is an error.
const std::vector<Fault>& catalogue();
// UsageError with the nearest known name.
const Fault& find_fault(const std::string& name);

}  // namespace batch71::faults
