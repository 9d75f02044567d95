// Mounts and network of a cell.
#include "launch/cell_setup.h"

#include <fcntl.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <stdexcept>

namespace batch71::launch {
namespace {

namespace fs = std::filesystem;

constexpr std::array<const char*, 3> kFreshFolders{"/tmp", "/var/tmp", "/dev/shm"};

// A file or folder held open, so that it can be mounted after a new mount has hidden its path.
struct Held {
  UniqueFd fd;
  std::string target;
  bool is_folder = true;
  bool read_only = false;
};

[[noreturn]] void fail(const std::string& what) {
  throw std::runtime_error(what + ": " + std::strerror(errno));
}

void mount_or_throw(const char* source, const std::string& target, const char* type,
                    unsigned long flags, const char* options = nullptr) {
  if (mount(source, target.c_str(), type, flags, options) != 0) fail("cannot mount " + target);
}

bool lies_under(const std::string& path, const std::string& folder) {
  return path == folder || path.starts_with(folder + "/");
}

bool is_made_fresh(const std::string& path) {
  return std::any_of(kFreshFolders.begin(), kFreshFolders.end(),
                     [&](const char* folder) { return lies_under(path, folder); });
}

Held hold(const std::string& source, const std::string& target) {
  Held held;
  held.fd = UniqueFd(open(source.c_str(), O_PATH | O_CLOEXEC));
  struct stat info {};
  if (!held.fd || fstat(held.fd.get(), &info) != 0) fail("cannot open " + source);
  held.is_folder = S_ISDIR(info.st_mode);
  held.target = target;
  return held;
}

void bind_held(const Held& held) {
  if (!fs::exists(held.target)) {
    if (!is_made_fresh(held.target)) {
      throw std::runtime_error(held.target + ": does not exist, nothing can be mounted there");
    }
    fs::create_directories(held.is_folder ? fs::path(held.target)
                                          : fs::path(held.target).parent_path());
    if (!held.is_folder) {
      const UniqueFd made(open(held.target.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
    }
  }
  const std::string source = "/proc/self/fd/" + std::to_string(held.fd.get());
  mount_or_throw(source.c_str(), held.target, nullptr, MS_BIND | MS_REC);
  if (held.read_only) {
    mount_or_throw(nullptr, held.target, nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY);
  }
}

bool is_fresh_itself(const std::string& path) {
  return std::count(kFreshFolders.begin(), kFreshFolders.end(), path) > 0;
}

// The folder of a program, with what lies beside it; of one in /tmp itself only the program.
std::string kept_for(const std::string& program) {
  const std::string folder = fs::path(program).parent_path();
  return is_fresh_itself(folder) ? program : folder;
}

// What the cell's processes need and the fresh folders would hide; nothing inside another. Of a rank's
// command line all words that are paths: `python3 train.py` needs its script.
std::vector<std::string> folders_to_keep(const CellSpec& spec) {
  std::vector<std::string> wanted = spec.kept_folders;
  const RanksSpec& ranks = spec.ranks;
  for (const std::string& folder : {spec.case_folder, ranks.run_folder, ranks.ledger_folder,
                                    ranks.output_folder, ranks.working_folder}) {
    wanted.push_back(folder);
  }
  wanted.push_back(fs::path(sibling_program("")).parent_path());
  wanted.push_back(fs::path(ranks.config_path).parent_path());
  for (const std::string& argument : ranks.argv) wanted.push_back(kept_for(argument));
  for (const HelperSpec& helper : spec.helpers) {
    wanted.push_back(kept_for(helper.argv.empty() ? "" : helper.argv.front()));
  }
  std::sort(wanted.begin(), wanted.end(),
            [](const std::string& a, const std::string& b) { return a.size() < b.size(); });
  std::vector<std::string> kept;
  for (const std::string& folder : wanted) {
    const bool is_inside = std::any_of(kept.begin(), kept.end(), [&](const std::string& other) {
      return lies_under(folder, other);
    });
    const bool can_be_kept =
        is_made_fresh(folder) && !is_fresh_itself(folder) && fs::exists(folder);
    if (can_be_kept && !is_inside) kept.push_back(folder);
  }
  return kept;
}

void raise_loopback() {
  const UniqueFd any(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP;
  if (!any || ioctl(any.get(), SIOCSIFFLAGS, &request) != 0)
    fail("cannot raise the loopback network");
}

}  // namespace

void furnish_cell(const CellSpec& spec) {
  mount_or_throw(nullptr, "/", nullptr, MS_REC | MS_PRIVATE);
  mount_or_throw("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC);
  std::vector<Held> held;
  for (const std::string& folder : folders_to_keep(spec)) held.push_back(hold(folder, folder));
  for (const BindMount& bind : spec.mounts) {
    held.push_back(hold(bind.source, bind.target));
    held.back().read_only = bind.read_only;
  }
  for (const char* folder : kFreshFolders) {
    if (!fs::is_directory(folder)) continue;
    mount_or_throw("tmpfs", folder, "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777");
  }
  for (const Held& each : held) bind_held(each);
  raise_loopback();
  if (chdir(spec.case_folder.c_str()) != 0) fail(spec.case_folder);
}

}  // namespace batch71::launch
