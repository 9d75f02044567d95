// Reads the JSON lines and lays them out as: header, entries, text.
#include "loader/manifest.h"

#include <bit>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "loader/hash.h"
#include "loader/sealed_memory.h"
#include "trace/errors.h"

namespace batch71::loader {

struct Manifest::Header {
  int64_t num_entries;
  int64_t num_labels;
  uint64_t digest;
  uint64_t contents_digest;
  uint64_t labels_digest;
};

struct Manifest::Entry {
  double duration_s;
  double offset_s;  // -1: the whole file
  int64_t label;
  uint64_t path_at;  // from the start of the mapping
  uint64_t path_bytes;
};

namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// One line of the file, checked.
struct Line {
  std::string audio_path;
  double duration_s = 0;
  double offset_s = -1;
  std::optional<std::string> label;
};

// Finds and checks the fields of one line; all errors carry file:line.
class LineParser {
 public:
  LineParser(const fs::path& manifest, size_t number)
      : manifest_(manifest), where_(manifest.string() + ":" + std::to_string(number) + ": ") {}

  Line parse(const std::string& text) const {
    const json object = json::parse(text, nullptr, false);
    if (object.is_discarded()) refuse("not JSON; each line must be one JSON object");
    if (!object.is_object()) refuse("not a JSON object");
    Line line;
    line.audio_path = audio_path(object);
    line.duration_s = number(object, "duration");
    if (!(line.duration_s > 0)) refuse("duration must be above 0 seconds");
    if (object.contains("offset") && !object["offset"].is_null()) {
      line.offset_s = number(object, "offset");
      if (!(line.offset_s >= 0)) refuse("offset must not be below 0 seconds");
    }
    if (object.contains("label")) line.label = label(object["label"]);
    return line;
  }

 private:
  [[noreturn]] void refuse(const std::string& what) const { throw UsageError(where_ + what); }

  std::string audio_path(const json& object) const {
    const auto found = object.find("audio_filepath");
    if (found == object.end() || !found->is_string() || found->get<std::string>().empty()) {
      refuse("audio_filepath is missing; each line must name its audio file");
    }
    return (manifest_.parent_path() / found->get<std::string>()).lexically_normal().string();
  }

  double number(const json& object, const char* key) const {
    const auto found = object.find(key);
    if (found == object.end()) refuse(std::string(key) + " is missing; give it in seconds");
    if (!found->is_number()) refuse(std::string(key) + " is not a number; give it in seconds");
    const double value = found->get<double>();
    if (!std::isfinite(value)) refuse(std::string(key) + " is not finite; give it in seconds");
    return value;
  }

  std::string label(const json& value) const {
    if (value.is_string()) return value.get<std::string>();
    if (value.is_number_integer()) return value.dump();
    refuse("label is neither text nor a whole number");
  }

  const fs::path& manifest_;
  std::string where_;
};

uint64_t digest_of(const Line& line) {
  Digest digest;
  digest.add(line.audio_path);
  digest.add(std::bit_cast<uint64_t>(line.duration_s));
  digest.add(std::bit_cast<uint64_t>(line.offset_s));
  digest.add(line.label.value_or(""));
  return digest.value();
}

std::vector<Line> read_lines(const std::string& path) {
  std::error_code failed;
  std::ifstream file(path);
  if (!file || !fs::is_regular_file(path, failed)) {
    throw UsageError(path + ": the manifest cannot be opened; check its path in train_ds");
  }
  const fs::path absolute = fs::absolute(path);
  std::vector<Line> lines;
  size_t number = 0;
  for (std::string text; std::getline(file, text);) {
    ++number;
    if (text.find_first_not_of(" \t\r") == std::string::npos) continue;
    lines.push_back(LineParser(absolute, number).parse(text));
  }
  return lines;
}

}  // namespace

Manifest::Manifest(const std::string& path, const ManifestLimits& limits) {
  std::vector<Line> lines = read_lines(path);
  std::map<std::string, int64_t> labels;
  for (const Line& line : lines) {
    if (line.label) labels[*line.label] = 0;
  }
  Digest labels_digest;
  int64_t next_label = 0;
  for (auto& [text, position] : labels) {
    position = next_label++;
    labels_digest.add(text);
  }
  std::erase_if(lines, [&limits](const Line& line) {
    return line.duration_s < limits.min_duration_s || line.duration_s > limits.max_duration_s;
  });
  if (lines.empty() && !limits.may_be_empty) {
    throw UsageError(path + ": the manifest has no sample within min_duration and max_duration");
  }

  Digest digest;
  uint64_t contents_digest = 0;
  std::vector<Entry> entries;
  std::string paths;
  const uint64_t paths_at = sizeof(Header) + lines.size() * sizeof(Entry);
  for (const Line& line : lines) {
    const int64_t label = line.label ? labels.at(*line.label) : -1;
    entries.push_back(
        {line.duration_s, line.offset_s, label, paths_at + paths.size(), line.audio_path.size()});
    paths += line.audio_path;
    const uint64_t line_digest = digest_of(line);
    digest.add(line_digest);
    contents_digest += mix(line_digest);  // a sum: the order does not count
  }
  const Header header{static_cast<int64_t>(lines.size()), next_label, digest.value(),
                      contents_digest, labels_digest.value()};
  std::string bytes(reinterpret_cast<const char*>(&header), sizeof header);
  bytes.append(reinterpret_cast<const char*>(entries.data()), entries.size() * sizeof(Entry));
  bytes += paths;
  region_ = seal(bytes);
}

const Manifest::Header& Manifest::header() const {
  return *static_cast<const Header*>(region_.get_address());
}

const Manifest::Entry& Manifest::entry(int64_t index) const {
  const auto* entries = reinterpret_cast<const Entry*>(&header() + 1);
  return entries[index];
}

int64_t Manifest::size() const { return header().num_entries; }
std::string_view Manifest::audio_path(int64_t index) const {
  const auto* start = static_cast<const char*>(region_.get_address());
  return {start + entry(index).path_at, entry(index).path_bytes};
}
double Manifest::duration_s(int64_t index) const { return entry(index).duration_s; }
double Manifest::offset_s(int64_t index) const { return std::max(entry(index).offset_s, 0.0); }
bool Manifest::has_offset(int64_t index) const { return entry(index).offset_s >= 0; }
int64_t Manifest::label(int64_t index) const { return entry(index).label; }
int64_t Manifest::num_labels() const { return header().num_labels; }
uint64_t Manifest::digest() const { return header().digest; }
uint64_t Manifest::contents_digest() const { return header().contents_digest; }
uint64_t Manifest::labels_digest() const { return header().labels_digest; }

}  // namespace batch71::loader
