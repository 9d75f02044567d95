// The catalogue of faults: a new one is a file and a line here. It only grows.
#include <algorithm>
#include <stdexcept>

#include "faults/fault.h"
#include "loader/yaml_section.h"
#include "trace/errors.h"

namespace batch71::faults {

Fault wav_truncated_header();
Fault wav_truncated_data();
Fault wav_nan();
Fault file_missing();
Fault file_fifo();

namespace {

std::vector<Fault> checked(std::vector<Fault> faults) {
  for (const Fault& fault : faults) {
    const auto same = [&](const Fault& other) { return other.name == fault.name; };
    if (std::count_if(faults.begin(), faults.end(), same) > 1) {
      throw std::logic_error("two faults are called " + fault.name);
    }
  }
  return faults;
}

}  // namespace

const std::vector<Fault>& catalogue() {
  static const std::vector<Fault> kAll = checked({
      wav_truncated_header(),
      wav_truncated_data(),
      wav_nan(),
      file_missing(),
      file_fifo(),
  });
  return kAll;
}

const Fault& find_fault(const std::string& name) {
  std::vector<std::string> known;
  for (const Fault& fault : catalogue()) {
    if (fault.name == name) return fault;
    known.push_back(fault.name);
  }
  throw UsageError("unknown fault '" + name + "'; the nearest known one is '" +
                   loader::nearest(name, known) + "' (batch71 faults list)");
}

std::string_view name(Family family) {
  switch (family) {
    case Family::kData: return "data";
    case Family::kIo: return "io";
  }
  return "unknown";
}

}  // namespace batch71::faults
