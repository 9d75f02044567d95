// The unbelieved bytes of a trace file: copies, checks against the file's size, tick conversion.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "trace/reader.h"
#include "trace/record_abi.h"

namespace batch71::trace {

// Ticks to CLOCK_MONOTONIC, by the nearest anchor.
class TickClock {
 public:
  TickClock() = default;
  TickClock(std::vector<Anchor> anchors, double ticks_per_second);
  uint64_t monotonic_ns(uint64_t ticks) const;
  const std::vector<Anchor>& anchors() const { return anchors_; }
  void set_rate(double ticks_per_second) { ticks_per_second_ = ticks_per_second; }

 private:
  std::vector<Anchor> anchors_;  // by ticks
  double ticks_per_second_ = 1e9;
};

// The rate from the two anchors that lie furthest apart; `estimate` if they are too close.
double rate_of(const std::vector<Anchor>& anchors, double estimate);

// Where the areas lie, checked: nothing overflows, rings are powers of two.
struct FileLayout {
  uint64_t hot_at = 0;
  uint64_t incidents_at = 0;
  uint64_t hot_text_at = 0;
  uint64_t incident_text_at = 0;
  uint64_t end = 0;
};
// nullopt: no header of ours; `why` says what is wrong.
std::optional<FileLayout> check_header(const FileHeader& header, std::string* why);

WriterId writer_id(const FileHeader& header);
// Anchors that were not being written in either copy.
std::vector<Anchor> stable_anchors(const FileHeader& first, const FileHeader& second);

// Opens a regular file without following a link or waiting (a FIFO would). -1 with `why`.
int open_trace_file(const std::string& path, std::string* why);
// Reads up to `size_bytes` at `offset`; a short file gives a short result.
std::vector<char> read_at(int fd, uint64_t offset, uint64_t size_bytes);

// The records of an area that was copied twice, by sequence; see record_abi.h. What was being written
// or was overwritten in the meantime is left out.
std::vector<Record> stable_records(std::string_view first, std::string_view second, uint32_t slots);
// Such a record as an Entry, without its text.
Entry to_entry(const Record& record, const TickClock& clock, bool is_incident);
// A text of a text area that was copied twice; "" if it was overwritten or torn.
std::string stable_text(std::string_view first, std::string_view second, uint32_t area_bytes,
                        uint32_t stamp);

}  // namespace batch71::trace
