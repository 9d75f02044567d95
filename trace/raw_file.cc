// The unbelieved bytes of a trace file.
#include "trace/raw_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cmath>
#include <cstring>

namespace batch71::trace {
namespace {

constexpr uint32_t kMaxSlots = 1u << 22;
constexpr uint32_t kMaxTextAreaBytes = 1u << 28;

// A string field of the header may lack its terminator in a damaged file.
template <size_t N>
std::string field(const char (&bytes)[N]) {
  return {bytes, strnlen(bytes, N)};
}

size_t utf8_length(unsigned char lead) {
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) return 2;
  if (lead >= 0xE0 && lead <= 0xEF) return 3;
  if (lead >= 0xF0 && lead <= 0xF4) return 4;
  return 0;
}

// Second bytes that UTF-8 forbids: overlong forms, surrogates, beyond U+10FFFF (RFC 3629, 4).
bool second_byte_fits(unsigned char lead, unsigned char second) {
  if (lead == 0xE0) return second >= 0xA0;
  if (lead == 0xED) return second <= 0x9F;
  if (lead == 0xF0) return second >= 0x90;
  if (lead == 0xF4) return second <= 0x8F;
  return true;
}

bool is_sequence(std::string_view bytes, size_t length) {
  if (length == 0 || length > bytes.size()) return false;
  for (size_t i = 1; i < length; ++i) {
    if ((static_cast<unsigned char>(bytes[i]) & 0xC0) != 0x80) return false;
  }
  return length == 1 || second_byte_fits(static_cast<unsigned char>(bytes[0]),
                                         static_cast<unsigned char>(bytes[1]));
}

// Texts go to terminals and into JSON: valid UTF-8 only, and no control characters but newline.
std::string printable(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  while (!bytes.empty()) {
    const auto lead = static_cast<unsigned char>(bytes[0]);
    const size_t length = utf8_length(lead);
    const bool is_control =
        (lead < 0x20 && lead != '\n') || lead == 0x7F ||
        (lead == 0xC2 && bytes.size() > 1 && static_cast<unsigned char>(bytes[1]) < 0xA0);
    if (is_control || !is_sequence(bytes, length)) {
      out += '?';
      bytes.remove_prefix(1);
      continue;
    }
    out.append(bytes.substr(0, length));
    bytes.remove_prefix(length);
  }
  return out;
}

}  // namespace

TickClock::TickClock(std::vector<Anchor> anchors, double ticks_per_second)
    : anchors_(std::move(anchors)), ticks_per_second_(ticks_per_second) {
  std::sort(anchors_.begin(), anchors_.end(),
            [](const Anchor& a, const Anchor& b) { return a.ticks < b.ticks; });
}

uint64_t TickClock::monotonic_ns(uint64_t ticks) const {
  if (anchors_.empty() || ticks == 0) return 0;
  auto after = std::lower_bound(anchors_.begin(), anchors_.end(), ticks,
                                [](const Anchor& a, uint64_t t) { return a.ticks < t; });
  const Anchor& anchor = after == anchors_.begin() ? *after : *(after - 1);
  const double delta_ticks = ticks >= anchor.ticks ? static_cast<double>(ticks - anchor.ticks)
                                                   : -static_cast<double>(anchor.ticks - ticks);
  const double ns =
      static_cast<double>(anchor.monotonic_ns) + delta_ticks * 1e9 / ticks_per_second_;
  return ns > 0 && ns < 9e18 ? static_cast<uint64_t>(ns) : 0;
}

double rate_of(const std::vector<Anchor>& anchors, double estimate) {
  constexpr uint64_t kMinSpanNs = 20'000'000;
  if (!(estimate >= 1e6 && estimate <= 1e11)) estimate = 1e9;
  if (anchors.size() < 2) return estimate;
  const auto [first, last] =
      std::minmax_element(anchors.begin(), anchors.end(),
                          [](const Anchor& a, const Anchor& b) { return a.ticks < b.ticks; });
  if (last->monotonic_ns < first->monotonic_ns + kMinSpanNs) return estimate;
  const double rate = static_cast<double>(last->ticks - first->ticks) * 1e9 /
                      static_cast<double>(last->monotonic_ns - first->monotonic_ns);
  // Anchors of a damaged file may be anything; the estimate is good to half a percent.
  return std::abs(rate / estimate - 1) < 0.05 ? rate : estimate;
}

std::optional<FileLayout> check_header(const FileHeader& header, std::string* why) {
  if (header.magic != kMagic) {
    *why = "not a trace file (no magic)";
    return std::nullopt;
  }
  if (header.version != kVersion || header.header_bytes != kHeaderBytes) {
    *why = "trace format version " + std::to_string(header.version) + ", this program reads " +
           std::to_string(kVersion);
    return std::nullopt;
  }
  const bool fits =
      std::has_single_bit(header.hot_slots) && header.hot_slots <= kMaxSlots &&
      header.incident_slots <= kMaxSlots && std::has_single_bit(header.hot_text_bytes) &&
      header.hot_text_bytes <= kMaxTextAreaBytes && header.incident_text_bytes <= kMaxTextAreaBytes;
  if (!fits) {
    *why = "damaged header (impossible sizes)";
    return std::nullopt;
  }
  FileLayout layout;
  layout.hot_at = kHeaderBytes;
  layout.incidents_at = layout.hot_at + uint64_t{header.hot_slots} * sizeof(Record);
  layout.hot_text_at = layout.incidents_at + uint64_t{header.incident_slots} * sizeof(Record);
  layout.incident_text_at = layout.hot_text_at + header.hot_text_bytes;
  layout.end = layout.incident_text_at + header.incident_text_bytes;
  return layout;
}

WriterId writer_id(const FileHeader& header) {
  WriterId id;
  id.role = static_cast<Role>(header.role);
  id.rank = header.rank;
  id.world_size = header.world_size;
  id.worker = header.worker;
  id.generation = header.generation;
  id.pid = header.pid;
  id.tid = header.tid;
  id.pid_start_ticks = header.pid_start_ticks;
  id.pid_namespace = header.pid_namespace;
  id.boot_id = printable(field(header.boot_id));
  id.host = printable(field(header.host));
  return id;
}

std::vector<Anchor> stable_anchors(const FileHeader& first, const FileHeader& second) {
  std::vector<Anchor> anchors;
  for (size_t i = 0; i < kAnchorSlots; ++i) {
    const Anchor& anchor = first.anchors[i];
    if (anchor.sequence == 0 || std::memcmp(&anchor, &second.anchors[i], sizeof anchor) != 0) {
      continue;
    }
    anchors.push_back(anchor);
  }
  return anchors;
}

int open_trace_file(const std::string& path, std::string* why) {
  const int fd = open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) {
    *why = std::strerror(errno);
    return -1;
  }
  struct stat info {};
  if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    *why = "not a regular file";
    close(fd);
    return -1;
  }
  return fd;
}

std::vector<char> read_at(int fd, uint64_t offset, uint64_t size_bytes) {
  struct stat info {};
  if (fstat(fd, &info) != 0 || static_cast<uint64_t>(info.st_size) <= offset) return {};
  std::vector<char> bytes(std::min(size_bytes, static_cast<uint64_t>(info.st_size) - offset));
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t got =
        pread(fd, bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    done += static_cast<size_t>(got);
  }
  bytes.resize(done);
  return bytes;
}

std::vector<Record> stable_records(std::string_view first, std::string_view second,
                                   uint32_t slots) {
  std::vector<Record> records;
  const size_t available = std::min(first.size(), second.size());
  for (uint32_t slot = 0; slot < slots; ++slot) {
    const size_t at = size_t{slot} * sizeof(Record);
    if (at + sizeof(Record) > available) break;
    Record record{};
    std::memcpy(&record, first.data() + at, sizeof record);
    if (record.sequence == 0 || (record.sequence - 1) % slots != slot) continue;
    if (std::memcmp(&record, second.data() + at, sizeof record) != 0) continue;
    records.push_back(record);
  }
  std::sort(records.begin(), records.end(),
            [](const Record& a, const Record& b) { return a.sequence < b.sequence; });
  return records;
}

Entry to_entry(const Record& record, const TickClock& clock, bool is_incident) {
  Entry entry;
  entry.sequence = record.sequence;
  entry.monotonic_ns = clock.monotonic_ns(record.ticks);
  entry.item_start_ns = clock.monotonic_ns(record.item_start_ticks);
  entry.index = record.index;
  entry.arg0 = record.arg0;
  entry.arg1 = record.arg1;
  entry.epoch = record.epoch;
  entry.batch = record.batch;
  entry.event = static_cast<Event>(record.event);
  entry.stage = static_cast<Stage>(record.stage);
  entry.is_incident = is_incident;
  return entry;
}

std::string stable_text(std::string_view first, std::string_view second, uint32_t area_bytes,
                        uint32_t stamp) {
  if (stamp == 0 || area_bytes == 0) return {};
  const uint64_t offset = (uint64_t{stamp} - 1) * kTextAlign % area_bytes;
  const size_t available = std::min(first.size(), second.size());
  if (offset + sizeof(TextHeader) > available) return {};
  TextHeader header{};
  std::memcpy(&header, first.data() + offset, sizeof header);
  const uint64_t begin = offset + sizeof header;
  if (header.stamp != stamp || header.length_bytes > kMaxTextBytes ||
      begin + header.length_bytes > available) {
    return {};
  }
  const uint64_t size = sizeof header + header.length_bytes;
  if (std::memcmp(first.data() + offset, second.data() + offset, size) != 0) return {};
  return printable(first.substr(begin, header.length_bytes));
}

}  // namespace batch71::trace
