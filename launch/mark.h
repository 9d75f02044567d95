// The mark in the names of cgroups and temporary folders: which process made them, and is it dead?
//
// batch71-<pid namespace inode>-<pid>-<start time>-<n>. A pid alone may be someone else's by now, or
// belong to another namespace that shares our file system.
#pragma once

#include <string>
#include <string_view>

namespace batch71::launch {

// "batch71-4026531836-712-88123-": the beginning of all names that process `pid` makes.
std::string mark_of(int pid);
// A new name of this process.
std::string next_marked_name();
// True for a marked name whose process, of this pid namespace, is dead.
bool is_stale(std::string_view name);

}  // namespace batch71::launch
