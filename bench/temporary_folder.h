// A folder of a bench program's own, with a name that nothing else has; gone at the end with all in it.
#pragma once

#include <string>

namespace batch71::bench {

class TemporaryFolder {
 public:
  // Throws std::runtime_error if it cannot be made in `parent`.
  explicit TemporaryFolder(const std::string& parent);
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Where traces are written while something is measured: memory, as in a real run.
inline constexpr const char* kTraceParent = "/dev/shm";

}  // namespace batch71::bench
