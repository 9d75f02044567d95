// Strikes that the kernel does by itself: what is left is to notice when.
#pragma once

#include <functional>
#include <string>

#include "faults/corpusfs/strike_log.h"

namespace batch71::faults {

// Each logs the first open of a file, with op "open", action "log" and the pid -1 (the kernel does not
// tell who), then returns. They wait as long as it takes: they end with the helper that they are.
// Throw std::runtime_error.

// Any file: by inotify.
void await_open(const std::string& path, const StrikeLog& log,
                const std::function<void()>& on_ready);
// A FIFO: becomes its writer, so that the reader's open returns and its read blocks. Returns the
// descriptor; nothing is ever written to it.
[[nodiscard]] launch::UniqueFd await_fifo_reader(const std::string& path, const StrikeLog& log,
                                                 const std::function<void()>& on_ready);

}  // namespace batch71::faults
