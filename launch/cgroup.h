// A cgroup of our own, marked with the process that made it: what a dead gate left can be found.
//
// cgroup v2 where it is mounted (also beside v1, as /sys/fs/cgroup/unified), else the v1 freezer.
// Name: batch71-<pid namespace inode>-<pid>-<start time>-<n>; a pid alone could be someone else's.
#pragma once

#include <string>

#include "launch/fd.h"

namespace batch71::launch {

// Where cgroups of ours are made; empty with the reason in `why` where that cannot be.
std::string cgroup_root(std::string* why);

// The beginning of the names of all cgroups that process `pid` makes (of this pid namespace).
std::string cgroup_mark(int pid);

class Cgroup {
 public:
  Cgroup() = default;  // none
  ~Cgroup();           // kills what is in it and removes it, bounded
  Cgroup(Cgroup&& other) noexcept;
  Cgroup& operator=(Cgroup&& other) noexcept;

  // A new one, marked as ours. Throws std::runtime_error.
  static Cgroup create();

  const std::string& path() const { return path_; }
  // An open cgroup.procs, for ProcessSpec::cgroup_procs_fd.
  UniqueFd open_procs() const;

 private:
  explicit Cgroup(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

// Thaws it, kills everything in it, removes it. False if it is still there at the deadline.
bool remove_cgroup(const std::string& path, int deadline_ms);

// Removes the marked cgroups of processes of this pid namespace that are dead.
void remove_stale_cgroups();

}  // namespace batch71::launch
