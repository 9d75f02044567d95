// Finds, makes, empties and removes cgroups.
#include "launch/cgroup.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <stdexcept>
#include <utility>
#include <vector>

#include "launch/mark.h"

namespace batch71::launch {
namespace {

namespace fs = std::filesystem;

constexpr int kRemoveDeadlineMs = 2'000;

// Mount point of the first mount with that type and, if not empty, that option; "" if there is none.
std::string mount_point(const std::string& type, const std::string& option) {
  std::ifstream mounts("/proc/self/mounts");
  for (std::string line; std::getline(mounts, line);) {
    std::istringstream fields(line);
    std::string device, where, what, options;
    fields >> device >> where >> what >> options;
    const bool has_option = ("," + options + ",").find("," + option + ",") != std::string::npos;
    if (what == type && (option.empty() || has_option)) return where;
  }
  return {};
}

void write_file(const std::string& path, const char* text) {
  const UniqueFd fd(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (fd) (void)!write(fd.get(), text, std::strlen(text));
}

std::vector<int> members(const std::string& path) {
  std::vector<int> pids;
  std::ifstream procs(path + "/cgroup.procs");
  for (int pid; procs >> pid;) {
    if (pid > 0) pids.push_back(pid);  // 0: in a pid namespace that cannot be seen from here
  }
  return pids;
}

// cgroup v1, and v2 before Linux 5.14, have no cgroup.kill.
void kill_members(const std::string& path) {
  for (const int pid : members(path)) {
    const UniqueFd pidfd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
    // The pid may have gone to another process before it was opened.
    const std::vector<int> still = members(path);
    if (pidfd && std::find(still.begin(), still.end(), pid) != still.end()) {
      syscall(SYS_pidfd_send_signal, pidfd.get(), SIGKILL, nullptr, 0);
    }
  }
}

void remove_all_where(const std::function<bool(const std::string& name)>& is_meant) {
  std::string why;
  const std::string root = cgroup_root(&why);
  if (root.empty()) return;
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator(root, failed)) {
    if (is_meant(entry.path().filename().string())) {
      remove_cgroup(entry.path().string(), kRemoveDeadlineMs);
    }
  }
}

}  // namespace

std::string cgroup_root(std::string* why) {
  std::string root = mount_point("cgroup2", "");
  if (root.empty()) root = mount_point("cgroup", "freezer");
  if (root.empty()) {
    *why = "no cgroup v2 and no v1 freezer is mounted";
  } else if (access(root.c_str(), W_OK) != 0) {
    *why = root + " cannot be written";
    root.clear();
  }
  return root;
}

Cgroup::~Cgroup() { remove(); }

void Cgroup::remove() {
  if (!path_.empty() && !remove_cgroup(path_, kRemoveDeadlineMs)) {
    std::fprintf(stderr, "warning: cgroup %s could not be removed\n", path_.c_str());
  }
  path_.clear();
}

Cgroup::Cgroup(Cgroup&& other) noexcept : path_(std::exchange(other.path_, {})) {}

Cgroup& Cgroup::operator=(Cgroup&& other) noexcept {
  if (this != &other) {
    remove();
    path_ = std::exchange(other.path_, {});
  }
  return *this;
}

Cgroup Cgroup::create() {
  std::string why;
  const std::string root = cgroup_root(&why);
  if (root.empty()) throw std::runtime_error(why);
  const std::string path = root + "/" + next_marked_name();
  if (mkdir(path.c_str(), 0755) != 0) {
    throw std::runtime_error(path + ": " + std::strerror(errno));
  }
  return Cgroup(path);
}

UniqueFd Cgroup::open_procs() const {
  UniqueFd fd(open((path_ + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd) throw std::runtime_error(path_ + "/cgroup.procs: " + std::strerror(errno));
  return fd;
}

bool remove_cgroup(const std::string& path, int deadline_ms) {
  // Members leave a cgroup some time after their end, and v1 has no event for it: look again.
  constexpr int kRetryMs = 10;
  const uint64_t deadline_ns = deadline_after_ms(deadline_ms);
  while (rmdir(path.c_str()) != 0 && errno != ENOENT) {
    if (ms_until(deadline_ns) == 0) return false;
    write_file(path + "/freezer.state", "THAWED");
    write_file(path + "/cgroup.freeze", "0");
    write_file(path + "/cgroup.kill", "1");
    kill_members(path);
    poll(nullptr, 0, kRetryMs);
  }
  return true;
}

void remove_cgroups_of(const std::string& mark) {
  remove_all_where([&](const std::string& name) { return name.starts_with(mark); });
}

void remove_stale_cgroups() {
  remove_all_where([](const std::string& name) { return is_stale(name); });
}

}  // namespace batch71::launch
