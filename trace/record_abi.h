// The trace file format, version 1: the specification that writer, reader and docs/trace-format.md follow.
//
// One file per writing thread, mapped shared, native byte order (little-endian), in this order:
//
//   offset                size
//   0                     kHeaderBytes                  FileHeader
//   kHeaderBytes          hot_slots * 64                hot ring: wraps, the newest record is the current state
//   + hot ring            incident_slots * 64           incident log: never wraps, overflow is counted
//   + incident log        hot_text_bytes                text ring of the hot records: wraps
//   + hot text            incident_text_bytes           text of the incidents: never wraps
//
// States of a slot (one writer, any number of readers, no lock):
//
//        +-------+  sequence := 0, release fence   +---------+  sequence := n, release   +-------+
//        | n - S | ------------------------------> | written | ------------------------> |   n   |
//        +-------+    (S slots; 0 when unused)     +---------+       after the payload   +-------+
//
// A reader accepts a slot only if two reads, one after the other, give the same 64 bytes, the
// sequence is not 0 and (sequence - 1) mod slots is the slot's position. Without the first step a
// wrapped slot would look valid while it is torn.
//
// A text is an entry {stamp u32, length u32, bytes, padding to 8} at byte (stamp - 1) * 8 mod area;
// entries never straddle the end. It is written like a slot: stamp := 0, fence, bytes, stamp (release).
// A record's `text` is the stamp of its entry, 0 for none.
#pragma once

#include <cstddef>
#include <cstdint>

namespace batch71::trace {

inline constexpr uint64_t kMagic = 0x4543'4152'5431'3742;  // "B71TRACE" in memory
inline constexpr uint32_t kVersion = 1;
inline constexpr size_t kHeaderBytes = 4096;
inline constexpr size_t kAnchorSlots = 32;
inline constexpr size_t kTextAlign = 8;
inline constexpr size_t kMaxTextBytes = 8192;  // longer texts are cut

enum class ClockKind : uint32_t { kTsc = 0, kMonotonic = 1 };  // kMonotonic: ticks are nanoseconds

// The same instant on three clocks. Slot 0 is the first one and stays; the others wrap.
struct Anchor {
  uint64_t sequence;  // as in Record
  uint64_t ticks;
  uint64_t monotonic_ns;
  uint64_t realtime_ns;
};
static_assert(sizeof(Anchor) == 32);

struct FileHeader {
  uint64_t magic;
  uint32_t version;
  uint32_t header_bytes;
  uint32_t hot_slots;  // a power of two
  uint32_t incident_slots;
  uint32_t hot_text_bytes;  // a power of two
  uint32_t incident_text_bytes;
  uint32_t clock_kind;
  uint32_t role;
  int32_t rank;  // -1: none (launch)
  int32_t world_size;
  int32_t worker;      // -1: none
  int32_t generation;  // of the worker: 0 first, +1 with every replacement
  int32_t pid;         // in the writer's pid namespace
  int32_t tid;
  uint64_t pid_start_ticks;   // field 22 of /proc/PID/stat
  uint64_t pid_namespace;     // inode of /proc/self/ns/pid
  uint64_t ticks_per_second;  // an estimate; two distant anchors are better
  uint64_t incidents_lost;    // incidents that found the log or its text area full
  uint64_t reserved[2];
  char boot_id[40];
  char host[64];
  Anchor anchors[kAnchorSlots];
};
static_assert(offsetof(FileHeader, clock_kind) == 32);
static_assert(offsetof(FileHeader, pid_start_ticks) == 64);
static_assert(offsetof(FileHeader, boot_id) == 112);
static_assert(offsetof(FileHeader, anchors) == 216);
static_assert(sizeof(FileHeader) <= kHeaderBytes);

struct Record {
  uint64_t sequence;          // 1, 2, 3, ...; 0: unused or being written
  uint64_t ticks;             // when
  uint64_t item_start_ticks;  // when the item or step of this record began
  int64_t index;              // sample index, -1 for none
  int64_t arg0;
  int64_t arg1;
  int32_t epoch;
  int32_t batch;   // -1 for none; counts from 0 in each epoch
  uint16_t event;  // Event
  uint16_t stage;  // Stage that the writer is in after this record
  uint32_t text;   // stamp of a text entry, 0 for none
};
static_assert(sizeof(Record) == 64);
static_assert(offsetof(Record, index) == 24);
static_assert(offsetof(Record, epoch) == 48);
static_assert(offsetof(Record, text) == 60);

struct TextHeader {
  uint32_t stamp;
  uint32_t length_bytes;
};
static_assert(sizeof(TextHeader) == kTextAlign);

}  // namespace batch71::trace
