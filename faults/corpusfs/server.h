// Serves a folder over itself by FUSE, so that every access to its files comes by here.
//
// Read-only pass-through. Attributes and names are cached nowhere and reads go past the page cache
// (direct_io), so that each lookup, open and read reaches the rules. Several threads.
// The end of the process, however it comes, ends the mount: a process of ours that waits for it
// unmounts. Readers that wait for an answer get ENOTCONN then.
#pragma once

#include <functional>
#include <string>

#include "faults/corpusfs/rules.h"
#include "faults/corpusfs/strike_log.h"

namespace batch71::faults {

// Mounts, calls `on_ready`, serves. Returns only after an error or an unmount by others.
// Throws std::runtime_error if it cannot mount.
void serve_folder(const std::string& folder, Rules& rules, const StrikeLog& log,
                  const std::function<void()>& on_ready);

}  // namespace batch71::faults
