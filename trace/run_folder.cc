// Creates, finds and prunes run folders.
#include "trace/run_folder.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <optional>
#include <vector>

#include "trace/errors.h"
#include "trace/raw_file.h"
#include "trace/reader.h"

namespace batch71::trace {
namespace {

namespace fs = std::filesystem;

bool is_trace_file(const fs::path& path) { return path.extension() == ".b71"; }

bool holds_trace_files(const fs::path& folder, std::error_code& failed) {
  for (const auto& entry : fs::directory_iterator(folder, failed)) {
    if (is_trace_file(entry.path())) return true;
  }
  return false;
}

// The folder itself where there are no attempts.
std::string newest_attempt(const fs::path& folder) {
  std::string newest = folder;
  std::error_code none;
  for (int attempt = 0; fs::is_directory(attempt_folder(folder, attempt), none); ++attempt) {
    newest = attempt_folder(folder, attempt);
  }
  return newest;
}

struct Candidate {
  fs::path path;
  uint64_t size_bytes = 0;
  bool alive = false;
};

// Who wrote that file and still runs.
std::optional<WriterId> living_writer(const fs::path& file) {
  std::string why;
  const int fd = open_trace_file(file.string(), &why);
  if (fd < 0) return std::nullopt;
  const std::vector<char> head = read_at(fd, 0, sizeof(FileHeader));
  close(fd);
  if (head.size() < sizeof(FileHeader)) return std::nullopt;
  FileHeader header{};
  std::memcpy(&header, head.data(), sizeof header);
  if (!check_header(header, &why)) return std::nullopt;
  WriterId writer = writer_id(header);
  return writer_is_alive(writer) ? std::optional(std::move(writer)) : std::nullopt;
}

bool any_writer_lives(const fs::path& folder) {
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator(folder, failed)) {
    if (is_trace_file(entry.path()) && living_writer(entry.path())) return true;
  }
  return false;
}

std::vector<fs::path> files_of_rank(const fs::path& folder, int rank) {
  const std::string prefix = "rank" + std::to_string(rank) + ".";
  std::vector<fs::path> files;
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator(folder, failed)) {
    const std::string name = entry.path().filename();
    // Also what was being made when its maker was killed (*.b71.PID.new).
    const bool is_trace = name.find(".b71") != std::string::npos;
    if (is_trace && name.starts_with(prefix)) files.push_back(entry.path());
  }
  return files;
}

// The first earlier<n> in which the rank has nothing yet.
fs::path next_earlier(const fs::path& run_folder, int rank) {
  for (int number = 0;; ++number) {
    fs::path folder = run_folder / ("earlier" + std::to_string(number));
    if (files_of_rank(folder, rank).empty()) return folder;
  }
}

// Also of what lies in the folders of attempts. What goes away meanwhile is not counted.
uint64_t size_of(const fs::path& folder) {
  uint64_t total = 0;
  std::error_code failed;
  for (fs::recursive_directory_iterator at(folder, failed), end; !failed && at != end;
       at.increment(failed)) {
    std::error_code none;
    const uintmax_t size = fs::is_regular_file(at->symlink_status(none)) ? at->file_size(none) : 0;
    if (!none) total += size;
  }
  return total;
}

// In a place where all may write (/dev/shm), another user may have been there first, and would read our
// traces or lead us elsewhere by a symbolic link.
void refuse_what_another_made(const std::string& root) {
  struct stat parent {};
  struct stat made {};
  const std::string above = fs::path(root).parent_path();
  if (stat(above.c_str(), &parent) != 0 || (parent.st_mode & S_IWOTH) == 0) return;
  if (lstat(root.c_str(), &made) != 0 || made.st_uid == geteuid()) return;
  throw UsageError(
      root + ": belongs to user " + std::to_string(made.st_uid) +
      ", who may see or change what is traced there; set BATCH71_TRACE_DIR to a folder "
      "of yours");
}

}  // namespace

std::string trace_root() {
  if (const char* configured = std::getenv("BATCH71_TRACE_DIR");
      configured != nullptr && *configured != '\0') {
    return fs::absolute(configured).lexically_normal().string();
  }
  return "/dev/shm/batch71-" + std::to_string(getuid());
}

std::string create_run_folder(const std::string& root) {
  std::error_code failed;
  fs::create_directories(fs::path(root).parent_path(), failed);
  if (mkdir(root.c_str(), 0700) != 0 && errno != EEXIST) {
    throw UsageError(root + ": cannot create the trace folder: " + std::strerror(errno) +
                     "; set BATCH71_TRACE_DIR to a folder that can be written");
  }
  refuse_what_another_made(root);
  const time_t now = time(nullptr);
  tm local{};
  localtime_r(&now, &local);
  std::array<char, 32> stamp{};
  std::strftime(stamp.data(), stamp.size(), "%Y%m%d-%H%M%S", &local);
  const std::string base = root + "/run-" + stamp.data() + "-" + std::to_string(getpid());
  // One process may start several runs within a second.
  for (int attempt = 0; attempt < 1000; ++attempt) {
    const std::string path = attempt == 0 ? base : base + "." + std::to_string(attempt);
    if (mkdir(path.c_str(), 0700) == 0) return path;
    if (errno != EEXIST) break;
  }
  throw UsageError(base + ": cannot create the run folder: " + std::strerror(errno) +
                   "; set BATCH71_TRACE_DIR to a folder that can be written");
}

std::string attempt_folder(const std::string& run_folder, int attempt) {
  return run_folder + "/attempt" + std::to_string(attempt);
}

void make_run_folder(const std::string& folder) {
  mkdir(fs::path(folder).parent_path().c_str(), 0700);
  mkdir(folder.c_str(), 0700);
}

void set_latest(const std::string& root, const std::string& run_folder) {
  const std::string link = root + "/latest";
  const std::string fresh = link + "." + std::to_string(getpid());
  std::error_code failed;
  fs::remove(fresh, failed);
  fs::create_symlink(fs::path(run_folder).filename(), fresh, failed);
  if (!failed) fs::rename(fresh, link, failed);
}

std::string resolve_run_folder(const std::string& name_or_path) {
  const bool is_latest = name_or_path == "latest" && !fs::exists("latest");
  const std::string path = is_latest ? trace_root() + "/latest" : name_or_path;
  std::error_code failed;
  const fs::file_status status = fs::status(path, failed);
  if (status.type() == fs::file_type::not_found) {
    throw UsageError(path + ": no such run folder; " +
                     (is_latest ? "nothing was run yet under this trace root"
                                : "`latest` names the newest run"));
  }
  if (status.type() != fs::file_type::directory) {
    throw UsageError(path + ": not a run folder, but a file; name the folder that holds it");
  }
  const fs::path folder = fs::canonical(path, failed);
  if (holds_trace_files(folder, failed)) return folder.string();
  const std::string attempt = newest_attempt(folder);
  if (holds_trace_files(attempt, failed)) return attempt;
  if (failed) throw UsageError(path + ": cannot be read: " + failed.message());
  throw UsageError(path + ": not a run folder: it holds no trace file (*.b71)");
}

std::vector<std::string> set_aside(const std::string& run_folder, int rank) {
  std::vector<std::string> leftovers;
  const std::vector<fs::path> files = files_of_rank(run_folder, rank);
  if (files.empty()) return leftovers;
  const fs::path folder = next_earlier(run_folder, rank);
  mkdir(folder.c_str(), 0700);  // another rank may have made it
  for (const fs::path& file : files) {
    if (const std::optional<WriterId> writer = living_writer(file)) {
      leftovers.push_back(file.filename().string() + " of an earlier attempt still runs, pid " +
                          std::to_string(writer->pid));
    }
    // What cannot be moved is overwritten.
    std::error_code failed;
    fs::rename(file, folder / file.filename(), failed);
  }
  return leftovers;
}

void prune(const std::string& root, const PruneLimits& limits) {
  std::vector<Candidate> runs;
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator(root, failed)) {
    if (!entry.is_directory(failed) || entry.is_symlink(failed)) continue;
    if (!entry.path().filename().string().starts_with("run-")) continue;
    runs.push_back({entry.path(), size_of(entry.path()), any_writer_lives(entry.path())});
  }
  // The name begins with the date: newest first.
  std::sort(runs.begin(), runs.end(),
            [](const Candidate& a, const Candidate& b) { return a.path > b.path; });
  uint64_t kept_bytes = 0;
  int kept = 0;
  for (const Candidate& run : runs) {
    const bool fits = kept < limits.keep_count && kept_bytes + run.size_bytes <= limits.keep_bytes;
    if (fits || run.alive || kept == 0) {
      ++kept;
      kept_bytes += run.size_bytes;
    } else {
      fs::remove_all(run.path, failed);
    }
  }
}

}  // namespace batch71::trace
