// file_missing: the manifest names a file that is not there.
#include <filesystem>

#include "faults/fault.h"

namespace batch71::faults {

Fault file_missing() {
  return {"file_missing",
          Family::kData,
          "The manifest names a file that is not there.",
          "The file is removed.",
          "The worker throws in open; the rank waits for its item for ever.",
          "audio_missing",
          "audio_open",
          [](const std::string& file) { std::filesystem::remove(file); }};
}

}  // namespace batch71::faults
