// The books of a cell: what was there at first, and what is there at the end.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "launch/cell_spec.h"

namespace batch71::launch {

class CellBooks {
 public:
  // Takes stock. Only inside a cell: it walks all of /tmp and /dev/shm, but no other file system.
  CellBooks();
  // What has been added since; and the processes other than this one.
  Leftovers leftovers() const;

 private:
  std::set<std::string> files_;
  std::set<std::string> mounts_;
  std::set<std::string> segments_;
};

// All processes of this pid namespace but this one.
std::vector<int> other_processes();

}  // namespace batch71::launch
