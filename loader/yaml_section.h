// Strict reading of one section of a YAML config, from a table of keys that also documents it.
//
// For: every room with settings of its own. Bind each key to the field it fills; the field's value at
// that time is the default. Then `read_section` fills what the file says.
// Errors (UsageError, "file:line: ..."): a file that is no YAML map, an unknown section or key (with
// the nearest known one), a key given twice, a wrong type, a value outside of its range.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace YAML {
class Node;
}

namespace batch71::loader {

class Section {
 public:
  explicit Section(std::string name) : name_(std::move(name)) {}

  void text(const std::string& key, std::string& field, const std::string& says);
  // May be left out: `none` then.
  void optional_text(const std::string& key, std::string& field, const std::string& says);
  void flag(const std::string& key, bool& field, const std::string& says);
  void integer(const std::string& key, int& field, int64_t least, int64_t most,
               const std::string& says);
  void integer(const std::string& key, int64_t& field, int64_t least, int64_t most,
               const std::string& says);
  void number(const std::string& key, double& field, double least, double most,
              const std::string& says);
  // Whole milliseconds, at least 1; `off` stands for `off_ms`.
  void deadline_ms(const std::string& key, int& field, int off_ms, const std::string& says);
  // One of the names; their order is that of the enum's values.
  template <typename Enum>
  void choice(const std::string& key, Enum& field, const std::vector<std::string>& names,
              const std::string& says) {
    choose(
        key, names, says, [&field](size_t at) { field = static_cast<Enum>(at); },
        [&field] { return static_cast<size_t>(field); });
  }

  const std::string& name() const { return name_; }
  // "key=value" for each key, as the fields are now.
  std::vector<std::string> values() const;
  // A Markdown table: key, the field's value (the default, before reading), meaning.
  std::string describe() const;

 private:
  friend void read_section(const std::string& path, const Section& section);

  struct Key {
    std::string name;
    std::string says;
    std::function<void(const YAML::Node&)> read;  // throws std::invalid_argument: what is expected
    std::function<std::string()> value;
  };
  void choose(const std::string& key, const std::vector<std::string>& names,
              const std::string& says, const std::function<void(size_t)>& set,
              const std::function<size_t()>& get);
  const Key* find(const std::string& key) const;
  void read(const std::string& path, const YAML::Node& node) const;

  std::string name_;
  std::vector<Key> keys_;
};

// A missing section leaves the defaults.
void read_section(const std::string& path, const Section& section);

// The known name that takes the fewest edits (Levenshtein).
std::string nearest(const std::string& word, const std::vector<std::string>& known);

}  // namespace batch71::loader
