// Reads a trace and looks for a record.
#include "bench/trace_stamps.h"

#include <algorithm>

#include "trace/reader.h"

namespace batch71::bench {

uint64_t first_since(const std::string& run_folder, const trace::WriterSpec& writer,
                     trace::Event event, uint64_t since_ns) {
  std::string why_not;
  const auto timeline = trace::read_timeline(run_folder + "/" + trace::file_name(writer), &why_not);
  if (!timeline) return 0;
  uint64_t first_ns = UINT64_MAX;
  for (const auto* entries : {&timeline->hot, &timeline->incidents}) {
    for (const trace::Entry& entry : *entries) {
      if (entry.event == event && entry.monotonic_ns >= since_ns)
        first_ns = std::min(first_ns, entry.monotonic_ns);
    }
  }
  return first_ns == UINT64_MAX ? 0 : first_ns;
}

}  // namespace batch71::bench
