// When something happened, as a trace tells it.
#pragma once

#include <cstdint>
#include <string>

#include "trace/event.h"
#include "trace/writer.h"

namespace batch71::bench {

// CLOCK_MONOTONIC of the first such record of that writer since then; 0: there is none.
uint64_t first_since(const std::string& run_folder, const trace::WriterSpec& writer,
                     trace::Event event, uint64_t since_ns);

}  // namespace batch71::bench
