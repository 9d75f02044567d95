// File systems with hardly any room: shared memory that is full, a folder on a small tmpfs.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "faults/corpusfs/strike_log.h"

namespace batch71::faults {

// In this mount namespace alone. What lies in `folder` after that is on a tmpfs of `room_bytes`; the tmpfs at
// `full` has no room at all. Logs the first file that somebody makes in either, with op "create" and action
// "log" (what the launcher writes counts for nothing). Returns at SIGTERM, when the tmpfs is gone again and
// its files lie in the folder itself. Throws std::runtime_error.
void give_little_room(const std::string& folder, uint64_t room_bytes, const std::string& full,
                      const StrikeLog& log, const std::function<void()>& on_ready);

}  // namespace batch71::faults
