// A cgroup of our own, marked with the process that made it: what a dead gate left can be found.
//
// cgroup v2 where it is mounted (also beside v1, as /sys/fs/cgroup/unified), else the v1 freezer.
#pragma once

#include <string>

#include "launch/fd.h"

namespace batch71::launch {

// Where cgroups of ours are made; empty with the reason in `why` where that cannot be.
std::string cgroup_root(std::string* why);

class Cgroup {
 public:
  Cgroup() = default;  // none
  ~Cgroup();           // as `remove`
  Cgroup(Cgroup&& other) noexcept;
  Cgroup& operator=(Cgroup&& other) noexcept;

  // A new one, named by launch/mark.h. Throws std::runtime_error.
  static Cgroup create();

  const std::string& path() const { return path_; }
  // Kills what is in it and removes it, bounded; then there is none.
  void remove();
  // An open cgroup.procs, for ProcessSpec::cgroup_procs_fd.
  UniqueFd open_procs() const;

 private:
  explicit Cgroup(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

// Thaws it, kills everything in it, removes it. False if it is still there at the deadline.
bool remove_cgroup(const std::string& path, int deadline_ms);

// Removes the cgroups whose names begin with that mark.
void remove_cgroups_of(const std::string& mark);
// Removes those of dead processes (launch/mark.h).
void remove_stale_cgroups();

}  // namespace batch71::launch
