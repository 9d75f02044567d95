// Whole files and whole run folders, into timelines.
#include "trace/reader.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <signal.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <tuple>

#include "trace/clock.h"
#include "trace/errors.h"
#include "trace/process_state.h"
#include "trace/raw_file.h"
#include "trace/run_folder.h"

namespace batch71::trace {
namespace {

namespace fs = std::filesystem;

// Two copies of one file, the second begun after the first was complete.
struct Copies {
  FileHeader header{};
  FileLayout layout;
  std::vector<char> first;
  std::vector<char> second;
  std::vector<Anchor> anchors;
};

std::optional<Copies> copy_file(const std::string& path, std::string* why) {
  const int fd = open_trace_file(path, why);
  if (fd < 0) return std::nullopt;
  Copies copies;
  FileHeader again{};
  const auto close_and_fail = [&](const char* reason) {
    if (reason != nullptr) *why = reason;
    close(fd);
    return std::nullopt;
  };
  const std::vector<char> head = read_at(fd, 0, sizeof(FileHeader));
  if (head.size() < sizeof(FileHeader)) return close_and_fail("cut within its header");
  std::memcpy(&copies.header, head.data(), sizeof copies.header);
  const std::optional<FileLayout> layout = check_header(copies.header, why);
  if (!layout) return close_and_fail(nullptr);
  copies.layout = *layout;
  copies.first = read_at(fd, 0, layout->end);
  copies.second = read_at(fd, 0, layout->end);
  close(fd);
  if (std::min(copies.first.size(), copies.second.size()) < sizeof(FileHeader)) {
    *why = "cut while it was read";
    return std::nullopt;
  }
  std::memcpy(&copies.header, copies.first.data(), sizeof copies.header);
  std::memcpy(&again, copies.second.data(), sizeof again);
  if (!check_header(copies.header, why)) return std::nullopt;
  copies.anchors = stable_anchors(copies.header, again);
  return copies;
}

std::string_view area(const std::vector<char>& copy, uint64_t begin, uint64_t end) {
  const uint64_t size = copy.size();
  if (begin >= size) return {};
  return {copy.data() + begin, static_cast<size_t>(std::min(end, size) - begin)};
}

std::vector<Entry> entries(const Copies& copies, const TickClock& clock, bool incidents) {
  const FileLayout& layout = copies.layout;
  const uint64_t records_at = incidents ? layout.incidents_at : layout.hot_at;
  const uint32_t slots = incidents ? copies.header.incident_slots : copies.header.hot_slots;
  const uint64_t text_at = incidents ? layout.incident_text_at : layout.hot_text_at;
  const uint32_t text_bytes =
      incidents ? copies.header.incident_text_bytes : copies.header.hot_text_bytes;
  const uint64_t records_end = records_at + uint64_t{slots} * sizeof(Record);
  std::vector<Entry> out;
  uint64_t before_ns = 0;
  for (const Record& record : stable_records(area(copies.first, records_at, records_end),
                                             area(copies.second, records_at, records_end), slots)) {
    out.push_back(to_entry(record, clock, incidents));
    // One writer's records follow each other, though two anchors may disagree by a little.
    before_ns = out.back().monotonic_ns = std::max(out.back().monotonic_ns, before_ns);
    out.back().text =
        stable_text(area(copies.first, text_at, text_at + text_bytes),
                    area(copies.second, text_at, text_at + text_bytes), text_bytes, record.text);
  }
  return out;
}

Timeline to_timeline(const std::string& path, const Copies& copies, const TickClock& clock) {
  Timeline timeline;
  timeline.path = path;
  timeline.writer = writer_id(copies.header);
  timeline.hot = entries(copies, clock, false);
  timeline.incidents = entries(copies, clock, true);
  timeline.incidents_lost = copies.header.incidents_lost;
  if (!timeline.hot.empty()) {
    timeline.hot_lost = timeline.hot.back().sequence - timeline.hot.size();
  }
  if (!copies.anchors.empty()) {
    const Anchor& anchor = copies.anchors.front();
    timeline.realtime_minus_monotonic_ns = anchor.realtime_ns - anchor.monotonic_ns;
  } else {
    timeline.problems.push_back("no clock anchor: times are unknown");
  }
  if (copies.first.size() < copies.layout.end) {
    timeline.problems.push_back("cut: " + std::to_string(copies.first.size()) + " of " +
                                std::to_string(copies.layout.end) + " bytes are there");
  }
  return timeline;
}

const std::string& current_boot_id() {
  static const std::string kId = [] {
    std::string id;
    std::ifstream("/proc/sys/kernel/random/boot_id") >> id;
    return id;
  }();
  return kId;
}

uint64_t newest_record_ns(const RunTrace& run) {
  uint64_t newest = 0;
  for (const Timeline& timeline : run.timelines) {
    for (const std::vector<Entry>* list : {&timeline.hot, &timeline.incidents}) {
      if (!list->empty()) newest = std::max(newest, list->back().monotonic_ns);
    }
  }
  return newest;
}

std::vector<std::string> trace_files(const std::string& folder) {
  std::vector<std::string> paths;
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator(folder, failed)) {
    if (entry.path().extension() == ".b71") paths.push_back(entry.path().string());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

// The process with that pid inside another pid namespace, as this one sees it; 0 if it does not.
int pid_seen_here(const WriterId& writer) {
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator("/proc", failed)) {
    const int pid = std::atoi(entry.path().filename().c_str());
    struct stat info {};
    if (pid <= 0 || stat((entry.path() / "ns/pid").c_str(), &info) != 0) continue;
    if (info.st_ino != writer.pid_namespace) continue;
    std::ifstream status(entry.path() / "status");
    for (std::string line; std::getline(status, line);) {
      if (!line.starts_with("NSpid:")) continue;
      const size_t last = line.find_last_of("\t ");
      if (std::atoi(line.c_str() + last + 1) == writer.pid) return pid;
    }
  }
  return 0;
}

}  // namespace

std::optional<Timeline> read_timeline(const std::string& path, std::string* why) {
  const std::optional<Copies> copies = copy_file(path, why);
  if (!copies) return std::nullopt;
  const auto estimate = static_cast<double>(copies->header.ticks_per_second);
  const TickClock clock(copies->anchors, rate_of(copies->anchors, estimate));
  return to_timeline(path, *copies, clock);
}

RunTrace read_run(const std::string& folder) {
  RunTrace run;
  run.folder = resolve_run_folder(folder);
  std::vector<std::pair<std::string, Copies>> files;
  for (const std::string& path : trace_files(run.folder)) {
    std::string why;
    if (std::optional<Copies> copies = copy_file(path, &why)) {
      files.emplace_back(path, std::move(*copies));
    } else {
      run.problems.push_back(fs::path(path).filename().string() + ": " + why);
    }
  }
  // The TSC is one for all of a machine: anchors that lie far apart, in whichever file, give its rate.
  std::vector<Anchor> all;
  for (const auto& [path, copies] : files) {
    all.insert(all.end(), copies.anchors.begin(), copies.anchors.end());
  }
  for (const auto& [path, copies] : files) {
    const double rate = rate_of(all, static_cast<double>(copies.header.ticks_per_second));
    run.timelines.push_back(to_timeline(path, copies, TickClock(copies.anchors, rate)));
  }
  std::sort(run.timelines.begin(), run.timelines.end(), [](const Timeline& a, const Timeline& b) {
    const auto key = [](const WriterId& w) {
      return std::tuple(w.rank, static_cast<uint32_t>(w.role), w.worker, w.generation);
    };
    return key(a.writer) < key(b.writer);
  });
  const std::string boot = current_boot_id();
  run.same_boot = std::all_of(run.timelines.begin(), run.timelines.end(),
                              [&](const Timeline& t) { return t.writer.boot_id == boot; });
  run.now_ns = run.same_boot ? monotonic_ns() : newest_record_ns(run);
  return run;
}

bool writer_is_alive(const WriterId& writer) {
  if (writer.boot_id != current_boot_id()) return false;
  struct stat own {};
  if (stat("/proc/self/ns/pid", &own) != 0) return false;
  const int pid = own.st_ino == writer.pid_namespace ? writer.pid : pid_seen_here(writer);
  if (pid <= 0) return false;
  const ProcessState state = process_state(pid);
  // Nothing to be read may also mean that we have no descriptor left: only the kernel's word counts.
  if (state.state == 0) return kill(pid, 0) == 0 || errno != ESRCH;
  return state.state != 0 && state.state != 'Z' && state.state != 'X' &&
         state.start_ticks == writer.pid_start_ticks;
}

}  // namespace batch71::trace
