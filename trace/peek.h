// Looks at the newest state of another thread's trace, cheaply and again and again: the side channel.
//
// For: watches that hold peers' traces against deadlines. A peek is a dozen preads, no mapping, no
// allocation that grows. Use from one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "trace/reader.h"

namespace batch71::trace {

class Peek {
 public:
  // The file may not exist yet: `refresh` tries again.
  explicit Peek(std::string path);
  ~Peek();
  Peek(const Peek&) = delete;
  Peek& operator=(const Peek&) = delete;

  // Opens the file if that was not possible before. True once it is open.
  bool refresh();
  const std::optional<WriterId>& writer() const { return writer_; }

  // The newest hot record: what that thread is doing, since when.
  std::optional<Entry> newest();
  // The newest hot record of that event among the last `look_back` ones.
  std::optional<Entry> newest_of(Event event, uint64_t look_back = 64);
  // Incidents that were not returned before, oldest first.
  std::vector<Entry> new_incidents();

 private:
  struct Layout;
  uint64_t newest_slot() const;
  Entry entry_at(const Record& record) const;

  std::string path_;
  int fd_ = -1;
  std::unique_ptr<Layout> layout_;
  std::optional<WriterId> writer_;
  uint64_t incidents_seen_ = 0;
};

}  // namespace batch71::trace
