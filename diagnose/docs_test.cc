// docs/verdicts.md and docs/trace-format.md say what the code says.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "diagnose/docs_test_util.h"
#include "diagnose/verdict.h"
#include "trace/event.h"
#include "trace/record_abi.h"

namespace batch71::diagnose {
namespace {

using trace::Anchor;
using trace::Event;
using trace::FileHeader;
using trace::Record;
using trace::Role;
using trace::Stage;
using trace::TextHeader;

struct Field {
  const char* name;
  size_t offset;
  size_t size;
};
#define FIELD(type, member) \
  Field { #member, offsetof(type, member), sizeof(type::member) }

template <size_t N>
std::string layout(const char* type, size_t size, const Field (&fields)[N]) {
  std::string out =
      fmt::format("\n`{}`, {} bytes:\n\n| offset | size | field |\n|---|---|---|\n", type, size);
  for (const Field& field : fields) {
    out += fmt::format("| {} | {} | `{}` |\n", field.offset, field.size, field.name);
  }
  return out;
}

std::string layouts() {
  const Field header[] = {FIELD(FileHeader, magic),
                          FIELD(FileHeader, version),
                          FIELD(FileHeader, header_bytes),
                          FIELD(FileHeader, hot_slots),
                          FIELD(FileHeader, incident_slots),
                          FIELD(FileHeader, hot_text_bytes),
                          FIELD(FileHeader, incident_text_bytes),
                          FIELD(FileHeader, clock_kind),
                          FIELD(FileHeader, role),
                          FIELD(FileHeader, rank),
                          FIELD(FileHeader, world_size),
                          FIELD(FileHeader, worker),
                          FIELD(FileHeader, generation),
                          FIELD(FileHeader, pid),
                          FIELD(FileHeader, tid),
                          FIELD(FileHeader, pid_start_ticks),
                          FIELD(FileHeader, pid_namespace),
                          FIELD(FileHeader, ticks_per_second),
                          FIELD(FileHeader, incidents_lost),
                          FIELD(FileHeader, reserved),
                          FIELD(FileHeader, boot_id),
                          FIELD(FileHeader, host),
                          FIELD(FileHeader, anchors)};
  const Field anchor[] = {FIELD(Anchor, sequence), FIELD(Anchor, ticks),
                          FIELD(Anchor, monotonic_ns), FIELD(Anchor, realtime_ns)};
  const Field record[] = {
      FIELD(Record, sequence), FIELD(Record, ticks), FIELD(Record, item_start_ticks),
      FIELD(Record, index),    FIELD(Record, arg0),  FIELD(Record, arg1),
      FIELD(Record, epoch),    FIELD(Record, batch), FIELD(Record, event),
      FIELD(Record, stage),    FIELD(Record, text)};
  const Field text[] = {FIELD(TextHeader, stamp), FIELD(TextHeader, length_bytes)};
  return fmt::format("Version {}, magic `0x{:016x}`, header {} bytes, texts up to {} bytes.\n",
                     trace::kVersion, trace::kMagic, trace::kHeaderBytes, trace::kMaxTextBytes) +
         layout("FileHeader", sizeof(FileHeader), header) +
         layout("Anchor", sizeof(Anchor), anchor) + layout("Record", sizeof(Record), record) +
         layout("TextHeader", sizeof(TextHeader), text);
}

template <typename Enum>
std::string numbers(const char* title) {
  std::string out = fmt::format("\n| number | {} |\n|---|---|\n", title);
  for (int number = 0; number < 1000; ++number) {
    const std::string_view name = trace::name(static_cast<Enum>(number));
    if (name != "unknown") out += fmt::format("| {} | `{}` |\n", number, name);
  }
  return out;
}

TEST(Docs, TheTableOfVerdictsIsThatOfTheCode) {
  expect_documented("verdicts.md", "kinds", kinds_as_markdown());
}

TEST(Docs, TheTraceFormatIsThatOfTheHeaders) {
  expect_documented("trace-format.md", "layouts", layouts());
}

TEST(Docs, TheNumbersOfRolesStagesAndEventsAreThoseOfTheHeaders) {
  expect_documented("trace-format.md", "numbers",
                    numbers<Role>("role") + numbers<Stage>("stage") + numbers<Event>("event"));
}

}  // namespace
}  // namespace batch71::diagnose
