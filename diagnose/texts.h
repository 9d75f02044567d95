// What the texts of incidents hold: "key=value ..." words, dummies, who was observed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace batch71::diagnose {

// The value of "key=value", up to the next space; "" where there is none.
std::string_view word(std::string_view text, std::string_view key);
// The same as a number; `otherwise` where there is none.
int64_t number(std::string_view text, std::string_view key, int64_t otherwise);

// "reason=... worker_since_epoch=... file=... why=...": the file may hold spaces.
struct DummyText {
  std::string reason;
  int64_t worker_since_epoch = -1;
  std::string file;
  std::string why;
};
DummyText parse_dummy_text(std::string_view text);

// "who=rank1.worker0" or "who=rank1.main".
struct Who {
  int rank = -1;
  int worker = -1;  // -1: the rank's main thread
};
Who parse_who(std::string_view text);

std::string_view first_line(std::string_view text);
// For lines and terminals: control characters become spaces.
std::string as_one_line(std::string_view text);

}  // namespace batch71::diagnose
