// Makes and removes folders.
#include "bench/temporary_folder.h"

#include <cstdlib>
#include <filesystem>
#include <stdexcept>

namespace batch71::bench {

TemporaryFolder::TemporaryFolder(const std::string& parent)
    : path_(parent + "/batch71-bench-XXXXXX") {
  if (mkdtemp(path_.data()) == nullptr) throw std::runtime_error(path_ + ": cannot be made");
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace batch71::bench
