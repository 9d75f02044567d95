// Takes stock of a cell and compares.
#include "launch/cell_books.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "trace/process_state.h"

namespace batch71::launch {
namespace {

namespace fs = std::filesystem;

dev_t device_of(const std::string& path) {
  struct stat info {};
  return lstat(path.c_str(), &info) == 0 ? info.st_dev : dev_t{0};
}

void walk(const std::string& folder, dev_t device, std::set<std::string>& out) {
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator(folder, failed)) {
    const std::string path = entry.path().string();
    // What is mounted here belongs to others, and may not even answer.
    if (device_of(path) != device) continue;
    out.insert(path);
    if (entry.is_directory(failed) && !entry.is_symlink(failed)) walk(path, device, out);
  }
}

std::set<std::string> all_files() {
  std::set<std::string> out;
  for (const std::string folder : {"/tmp", "/var/tmp", "/dev/shm"})
    walk(folder, device_of(folder), out);
  return out;
}

// The field of that number of every line, after `header_lines` ones.
std::set<std::string> column(const std::string& path, int number, int header_lines) {
  std::set<std::string> out;
  std::ifstream file(path);
  int line_number = 0;
  for (std::string line; std::getline(file, line);) {
    if (line_number++ < header_lines) continue;
    std::istringstream fields(line);
    std::string field;
    for (int i = 0; i <= number; ++i) fields >> field;
    out.insert(field);
  }
  return out;
}

std::set<std::string> all_mounts() { return column("/proc/self/mountinfo", 4, 0); }
std::set<std::string> all_segments() { return column("/proc/sysvipc/shm", 1, 1); }

std::vector<std::string> added(const std::set<std::string>& before,
                               const std::set<std::string>& now) {
  std::vector<std::string> out;
  std::set_difference(now.begin(), now.end(), before.begin(), before.end(),
                      std::back_inserter(out));
  return out;
}

std::string process_name(int pid) {
  std::string name;
  std::ifstream comm("/proc/" + std::to_string(pid) + "/comm");
  std::getline(comm, name);
  return name;
}

}  // namespace

CellBooks::CellBooks() : files_(all_files()), mounts_(all_mounts()), segments_(all_segments()) {}

Leftovers CellBooks::leftovers() const {
  Leftovers out;
  for (const int pid : other_processes()) {
    out.processes.push_back("pid=" + std::to_string(pid) + " name=" + process_name(pid) + " " +
                            to_text(trace::process_state(pid)));
  }
  out.files = added(files_, all_files());
  out.mounts = added(mounts_, all_mounts());
  out.segments = added(segments_, all_segments());
  return out;
}

std::vector<int> other_processes() {
  std::vector<int> out;
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator("/proc", failed)) {
    const std::string name = entry.path().filename().string();
    int pid = 0;
    const auto parsed = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (parsed.ec == std::errc() && parsed.ptr == name.data() + name.size() && pid != getpid()) {
      out.push_back(pid);
    }
  }
  return out;
}

}  // namespace batch71::launch
