// Reads and writes entries of manifests.
#include "faults/manifest_entries.h"

#include <filesystem>
#include <fstream>
#include <stdexcept>

namespace batch71::faults {

std::vector<nlohmann::json> entries_of(const std::string& manifest_path) {
  const std::filesystem::path folder = std::filesystem::path(manifest_path).parent_path();
  std::vector<nlohmann::json> entries;
  std::ifstream file(manifest_path);
  for (std::string line; std::getline(file, line);) {
    nlohmann::json& entry = entries.emplace_back(nlohmann::json::parse(line));
    entry["audio_filepath"] = folder / entry.at("audio_filepath").get<std::string>();
  }
  return entries;
}

void write_entries(const std::string& path, const std::vector<nlohmann::json>& entries) {
  std::ofstream file(path);
  for (const nlohmann::json& entry : entries) file << entry << "\n";
  if (!file.flush()) throw std::runtime_error(path + ": cannot be written");
}

}  // namespace batch71::faults
