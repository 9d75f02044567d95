// The entries of a manifest, for injectors that write manifests of their own.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace batch71::faults {

// With paths that hold from anywhere.
std::vector<nlohmann::json> entries_of(const std::string& manifest_path);
// One a line. Throws std::runtime_error.
void write_entries(const std::string& path, const std::vector<nlohmann::json>& entries);

}  // namespace batch71::faults
