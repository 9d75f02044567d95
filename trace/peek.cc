// Looks at the newest state of another thread's trace.
#include "trace/peek.h"

#include <unistd.h>

#include <cstring>

#include "trace/raw_file.h"

namespace batch71::trace {

struct Peek::Layout {
  FileHeader header{};
  FileLayout at;
  TickClock clock;
};

namespace {

// One slot, accepted as record_abi.h says; sequence 0 otherwise.
Record slot_at(int fd, uint64_t area_at, uint64_t slot) {
  Record first{}, second{};
  const auto offset = static_cast<off_t>(area_at + slot * sizeof(Record));
  if (pread(fd, &first, sizeof first, offset) != sizeof first ||
      pread(fd, &second, sizeof second, offset) != sizeof second ||
      std::memcmp(&first, &second, sizeof first) != 0) {
    return Record{};
  }
  return first;
}

std::string text_at(int fd, uint64_t area_at, uint32_t area_bytes, uint32_t stamp) {
  if (stamp == 0 || area_bytes == 0) return {};
  const uint64_t offset = (uint64_t{stamp} - 1) * kTextAlign % area_bytes;
  const uint64_t length =
      std::min<uint64_t>(kMaxTextBytes + sizeof(TextHeader), area_bytes - offset);
  const std::vector<char> first = read_at(fd, area_at + offset, length);
  const std::vector<char> second = read_at(fd, area_at + offset, length);
  // The entry was cut out of its area: as if it began at 0.
  TextHeader header{};
  if (first.size() < sizeof header) return {};
  std::memcpy(&header, first.data(), sizeof header);
  if (header.stamp != stamp) return {};
  std::vector<char> a = first, b = second;
  header.stamp = 1;
  std::memcpy(a.data(), &header, sizeof header);
  if (b.size() < sizeof header || std::memcmp(first.data(), second.data(), sizeof header) != 0) {
    return {};
  }
  std::memcpy(b.data(), &header, sizeof header);
  return stable_text({a.data(), a.size()}, {b.data(), b.size()}, area_bytes, 1);
}

}  // namespace

Peek::Peek(std::string path) : path_(std::move(path)) {}

Peek::~Peek() {
  if (fd_ >= 0) close(fd_);
}

bool Peek::refresh() {
  std::string why;
  if (fd_ < 0) {
    const int fd = open_trace_file(path_, &why);
    if (fd < 0) return false;
    auto layout = std::make_unique<Layout>();
    const std::vector<char> head = read_at(fd, 0, sizeof(FileHeader));
    if (head.size() == sizeof(FileHeader)) std::memcpy(&layout->header, head.data(), head.size());
    const std::optional<FileLayout> at = check_header(layout->header, &why);
    if (!at) {
      close(fd);
      return false;
    }
    layout->at = *at;
    writer_ = writer_id(layout->header);
    layout_ = std::move(layout);
    fd_ = fd;
  }
  FileHeader first{}, second{};
  if (pread(fd_, &first, sizeof first, 0) != sizeof first ||
      pread(fd_, &second, sizeof second, 0) != sizeof second) {
    return false;
  }
  const std::vector<Anchor> anchors = stable_anchors(first, second);
  const double rate = rate_of(anchors, static_cast<double>(layout_->header.ticks_per_second));
  layout_->clock = TickClock(anchors, rate);
  return true;
}

uint64_t Peek::newest_slot() const {
  const uint64_t area = layout_->at.hot_at;
  const uint32_t slots = layout_->header.hot_slots;
  const uint64_t base = slot_at(fd_, area, 0).sequence;
  uint64_t newest = slots - 1;  // slot 0 is unused, or being written right now
  if (base != 0) {
    // Up to the newest record sequences rise by one a slot; behind it they are older, or 0.
    uint64_t low = 0, high = slots;
    while (high - low > 1) {
      const uint64_t middle = low + (high - low) / 2;
      (slot_at(fd_, area, middle).sequence >= base ? low : high) = middle;
    }
    newest = low;
  }
  return newest;
}

Entry Peek::entry_at(const Record& record) const {
  Entry entry = to_entry(record, layout_->clock, false);
  entry.text = text_at(fd_, layout_->at.hot_text_at, layout_->header.hot_text_bytes, record.text);
  return entry;
}

std::optional<Entry> Peek::newest() {
  if (!refresh()) return std::nullopt;
  const uint64_t slot = newest_slot();
  const Record record = slot_at(fd_, layout_->at.hot_at, slot);
  if (record.sequence == 0 || (record.sequence - 1) % layout_->header.hot_slots != slot) {
    return std::nullopt;
  }
  return entry_at(record);
}

std::optional<Entry> Peek::newest_of(Event event, uint64_t look_back) {
  if (!refresh()) return std::nullopt;
  const uint32_t slots = layout_->header.hot_slots;
  const uint64_t newest = newest_slot();
  for (uint64_t back = 0; back < std::min<uint64_t>(look_back, slots); ++back) {
    const Record record = slot_at(fd_, layout_->at.hot_at, (newest + slots - back) % slots);
    if (record.sequence != 0 && record.event == static_cast<uint16_t>(event)) {
      return entry_at(record);
    }
  }
  return std::nullopt;
}

std::vector<Entry> Peek::new_incidents() {
  std::vector<Entry> out;
  if (!refresh()) return out;
  while (incidents_seen_ < layout_->header.incident_slots) {
    const Record record = slot_at(fd_, layout_->at.incidents_at, incidents_seen_);
    if (record.sequence != incidents_seen_ + 1) break;
    out.push_back(to_entry(record, layout_->clock, true));
    out.back().text = text_at(fd_, layout_->at.incident_text_at,
                              layout_->header.incident_text_bytes, record.text);
    ++incidents_seen_;
  }
  return out;
}

}  // namespace batch71::trace
