// What the texts of incidents hold.
#include "diagnose/texts.h"

#include <charconv>

namespace batch71::diagnose {
namespace {

// Reads digits from the front of `text` and removes them; -1 where there are none or too many.
int take_number(std::string_view& text) {
  int value = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc()) return -1;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return value;
}

}  // namespace

std::string_view word(std::string_view text, std::string_view key) {
  for (size_t at = 0; (at = text.find(key, at)) != std::string_view::npos; at += key.size()) {
    const bool begins = at == 0 || text[at - 1] == ' ' || text[at - 1] == '\n';
    const size_t value = at + key.size();
    if (!begins || value >= text.size() || text[value] != '=') continue;
    const std::string_view rest = text.substr(value + 1);
    return rest.substr(0, rest.find_first_of(" \n"));
  }
  return {};
}

int64_t number(std::string_view text, std::string_view key, int64_t otherwise) {
  const std::string_view digits = word(text, key);
  int64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return error == std::errc() && end == digits.data() + digits.size() ? value : otherwise;
}

DummyText parse_dummy_text(std::string_view text) {
  DummyText out;
  out.reason = word(text, "reason");
  out.worker_since_epoch = number(text.substr(0, text.find(" file=")), "worker_since_epoch", -1);
  const size_t why = text.find(" why=");
  if (why != std::string_view::npos) out.why = text.substr(why + 5);
  const std::string_view before_why = text.substr(0, why);
  const size_t file = before_why.find(" file=");
  if (file != std::string_view::npos) out.file = before_why.substr(file + 6);
  return out;
}

Who parse_who(std::string_view text) {
  std::string_view who = word(text, "who");
  Who out;
  if (!who.starts_with("rank")) return out;
  who.remove_prefix(4);
  out.rank = take_number(who);
  if (who.starts_with(".worker")) {
    who.remove_prefix(7);
    out.worker = take_number(who);
  }
  return out;
}

std::string_view first_line(std::string_view text) { return text.substr(0, text.find('\n')); }

std::string as_one_line(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = ' ';
  }
  return out;
}

}  // namespace batch71::diagnose
