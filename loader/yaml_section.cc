// Reads, checks and describes sections; see the header.
#include "loader/yaml_section.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>
#include <stdexcept>

#include "trace/errors.h"

namespace batch71::loader {
namespace {

const std::vector<std::string> kKnownSections = {"train_ds", "guards", "trainer"};
constexpr int kMostDeadlineMs = 24 * 60 * 60 * 1000;

[[noreturn]] void refuse(const std::string& path, const YAML::Mark& mark, const std::string& what) {
  const std::string line = mark.is_null() ? "" : ":" + std::to_string(mark.line + 1);
  throw UsageError(path + line + ": " + what);
}

std::string join(const std::vector<std::string>& words) {
  std::string all;
  for (const std::string& word : words) all += (all.empty() ? "" : ", ") + word;
  return all;
}

std::string scalar(const YAML::Node& node, const std::string& expected) {
  if (!node.IsScalar()) throw std::invalid_argument(expected);
  return node.Scalar();
}

// The whole scalar as a number, or what was expected as an error.
template <typename Number>
Number parse(const YAML::Node& node, Number least, Number most, const std::string& expected) {
  const std::string text = scalar(node, expected);
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  // Written so that NaN fails.
  if (!whole || !(value >= least && value <= most)) throw std::invalid_argument(expected);
  return value;
}

std::string number_text(double value) {
  std::string text = std::to_string(value);
  text.erase(text.find_last_not_of('0') + 1);
  return text.back() == '.' ? text + "0" : text;
}

std::string range_text(const std::string& kind, int64_t least, int64_t most) {
  std::string text = kind + " of at least " + std::to_string(least);
  if (most < INT64_MAX) text += " and at most " + std::to_string(most);
  return text;
}

YAML::Node load_map(const std::string& path) {
  YAML::Node root;
  try {
    root = YAML::LoadFile(path);
  } catch (const YAML::BadFile&) {
    throw UsageError(path + ": cannot be opened; name a YAML file with a train_ds section");
  } catch (const YAML::Exception& error) {
    refuse(path, error.mark, "not YAML: " + error.msg);
  }
  if (!root.IsMap()) refuse(path, root.Mark(), "not a map of sections: " + join(kKnownSections));
  return root;
}

// Calls visit(key, key's node, value) once for each key; refuses keys given twice.
template <typename Visit>
void for_each_key(const std::string& path, const YAML::Node& map, const Visit& visit) {
  std::set<std::string> seen;
  for (const auto& entry : map) {
    if (!entry.first.IsScalar()) refuse(path, entry.first.Mark(), "a key must be a word");
    const std::string key = entry.first.Scalar();
    if (!seen.insert(key).second) {
      refuse(path, entry.first.Mark(), "'" + key + "' is given twice; remove one");
    }
    visit(key, entry.first, entry.second);
  }
}

}  // namespace

std::string nearest(const std::string& word, const std::vector<std::string>& known) {
  std::string best;
  size_t best_edits = SIZE_MAX;
  for (const std::string& candidate : known) {
    std::vector<size_t> edits(candidate.size() + 1);
    for (size_t j = 0; j <= candidate.size(); ++j) edits[j] = j;
    for (size_t i = 1; i <= word.size(); ++i) {
      size_t diagonal = edits[0];
      edits[0] = i;
      for (size_t j = 1; j <= candidate.size(); ++j) {
        const size_t replaced = diagonal + (word[i - 1] == candidate[j - 1] ? 0 : 1);
        diagonal = edits[j];
        edits[j] = std::min({replaced, edits[j] + 1, edits[j - 1] + 1});
      }
    }
    if (edits.back() < best_edits) {
      best_edits = edits.back();
      best = candidate;
    }
  }
  return best;
}

void Section::text(const std::string& key, std::string& field, const std::string& says) {
  const auto read = [&field](const YAML::Node& node) {
    const std::string value = scalar(node, "text");
    if (value.empty()) throw std::invalid_argument("text that is not empty");
    field = value;
  };
  keys_.push_back({key, says, read, [&field] { return field; }});
}

void Section::optional_text(const std::string& key, std::string& field, const std::string& says) {
  text(key, field, says);
  keys_.back().value = [&field] { return field.empty() ? "none" : field; };
}

void Section::flag(const std::string& key, bool& field, const std::string& says) {
  const auto read = [&field](const YAML::Node& node) {
    if (!node.IsScalar() || !YAML::convert<bool>::decode(node, field)) {
      throw std::invalid_argument("true or false");
    }
  };
  keys_.push_back({key, says, read, [&field] { return field ? "true" : "false"; }});
}

void Section::integer(const std::string& key, int& field, int64_t least, int64_t most,
                      const std::string& says) {
  const auto read = [&field, least, most](const YAML::Node& node) {
    field = static_cast<int>(parse(node, least, most, range_text("a whole number", least, most)));
  };
  keys_.push_back({key, says, read, [&field] { return std::to_string(field); }});
}

void Section::integer(const std::string& key, int64_t& field, int64_t least, int64_t most,
                      const std::string& says) {
  const auto read = [&field, least, most](const YAML::Node& node) {
    field = parse(node, least, most, range_text("a whole number", least, most));
  };
  keys_.push_back({key, says, read, [&field] { return std::to_string(field); }});
}

void Section::number(const std::string& key, double& field, double least, double most,
                     const std::string& says) {
  const auto read = [&field, least, most](const YAML::Node& node) {
    field = parse(node, least, most,
                  "a number from " + number_text(least) + " to " + number_text(most));
  };
  keys_.push_back({key, says, read, [&field] { return number_text(field); }});
}

void Section::deadline_ms(const std::string& key, int& field, int off_ms, const std::string& says) {
  const auto read = [&field, off_ms](const YAML::Node& node) {
    const std::string expected = range_text("`off` or whole milliseconds", 1, kMostDeadlineMs);
    field = scalar(node, expected) == "off" ? off_ms : parse(node, 1, kMostDeadlineMs, expected);
  };
  keys_.push_back({key, says, read, [&field] { return std::to_string(field); }});
}

void Section::choose(const std::string& key, const std::vector<std::string>& names,
                     const std::string& says, const std::function<void(size_t)>& set,
                     const std::function<size_t()>& get) {
  const auto read = [names, set](const YAML::Node& node) {
    const std::string expected = "one of: " + join(names);
    const auto found = std::find(names.begin(), names.end(), scalar(node, expected));
    if (found == names.end()) throw std::invalid_argument(expected);
    set(static_cast<size_t>(found - names.begin()));
  };
  keys_.push_back({key, says + " One of: " + join(names) + ".", read,
                   [names, get] { return names.at(get()); }});
}

std::vector<std::string> Section::values() const {
  std::vector<std::string> all;
  for (const Key& key : keys_) all.push_back(key.name + "=" + key.value());
  return all;
}

std::string Section::describe() const {
  std::string table = "## `" + name_ + ":`\n\n| key | default | meaning |\n|---|---|---|\n";
  for (const Key& key : keys_) {
    const std::string value = key.value();
    table += "| `" + key.name + "` | " + (value.empty() ? "must be given" : "`" + value + "`") +
             " | " + key.says + " |\n";
  }
  return table;
}

const Section::Key* Section::find(const std::string& key) const {
  const auto found = std::find_if(keys_.begin(), keys_.end(),
                                  [&key](const Key& known) { return known.name == key; });
  return found == keys_.end() ? nullptr : &*found;
}

void Section::read(const std::string& path, const YAML::Node& node) const {
  if (node.IsNull()) return;
  if (!node.IsMap()) refuse(path, node.Mark(), name_ + " is not a map of keys");
  std::vector<std::string> known;
  for (const Key& key : keys_) known.push_back(key.name);
  for_each_key(path, node,
               [&](const std::string& name, const YAML::Node& at, const YAML::Node& value) {
                 const Key* key = find(name);
                 if (key == nullptr) {
                   refuse(path, at.Mark(),
                          "unknown key '" + name + "' in " + name_ +
                              "; the nearest known one is '" + nearest(name, known) + "'");
                 }
                 try {
                   key->read(value);
                 } catch (const std::invalid_argument& expected) {
                   const std::string given =
                       value.IsScalar() ? "'" + value.Scalar() + "'" : "not a single value";
                   refuse(path, at.Mark(),
                          name_ + "." + name + " is " + given + "; expected " + expected.what());
                 }
               });
}

void read_section(const std::string& path, const Section& section) {
  const YAML::Node root = load_map(path);
  for_each_key(
      path, root, [&](const std::string& name, const YAML::Node& at, const YAML::Node& value) {
        if (std::find(kKnownSections.begin(), kKnownSections.end(), name) == kKnownSections.end()) {
          refuse(path, at.Mark(),
                 "unknown section '" + name + "'; the nearest known one is '" +
                     nearest(name, kKnownSections) + "'");
        }
        if (name == section.name()) section.read(path, value);
      });
}

}  // namespace batch71::loader
