// Mounts what has hardly any room, and notices who comes.
#include "faults/corpusfs/little_room.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/signalfd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <string_view>

namespace batch71::faults {
namespace {

namespace fs = std::filesystem;

constexpr unsigned long kMountFlags = MS_NOSUID | MS_NODEV;

[[noreturn]] void fail(const std::string& path) {
  throw std::runtime_error(path + ": " + std::strerror(errno));
}

launch::UniqueFd open_folder(const std::string& path) {
  launch::UniqueFd folder(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder) fail(path);
  return folder;
}

fs::path path_of(const launch::UniqueFd& folder) {
  return "/proc/self/fd/" + std::to_string(folder.get()) + "/.";
}

// A small tmpfs over a folder, while this object lives.
class SmallRoom {
 public:
  SmallRoom(const std::string& folder, uint64_t room_bytes)
      : folder_(folder), below_(open_folder(folder)) {
    const std::string options = "mode=0700,size=" + std::to_string(room_bytes);
    if (mount("tmpfs", folder.c_str(), "tmpfs", kMountFlags, options.c_str()) != 0) fail(folder);
  }
  SmallRoom(const SmallRoom&) = delete;
  SmallRoom& operator=(const SmallRoom&) = delete;
  void hand_over() {
    const launch::UniqueFd above = open_folder(folder_);
    if (umount2(folder_.c_str(), MNT_DETACH) != 0) fail(folder_);
    fs::copy(path_of(above), path_of(below_), fs::copy_options::recursive);
  }

 private:
  std::string folder_;
  launch::UniqueFd below_;
};

// Makes a tmpfs full: it has one page, and the nameless file that is returned takes that.
launch::UniqueFd fill_up(const std::string& folder) {
  constexpr off_t kPageBytes = 4'096;
  const std::string options = "mode=1777,size=" + std::to_string(kPageBytes);
  const unsigned long flags = MS_REMOUNT | kMountFlags;
  if (mount(nullptr, folder.c_str(), nullptr, flags, options.c_str()) != 0) fail(folder);
  launch::UniqueFd filling(open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (!filling || posix_fallocate(filling.get(), 0, kPageBytes) != 0) fail(folder);
  return filling;
}

// The name of a file that is neither the launcher's nor told before; "": none.
std::string newcomer(int watch) {
  alignas(inotify_event) std::array<char, 4096> events{};
  const ssize_t got = read(watch, events.data(), events.size());
  for (ssize_t at = 0; at < got;) {
    const auto* event = reinterpret_cast<const inotify_event*>(events.data() + at);
    const std::string_view name = event->len > 0 ? event->name : "";
    if (!name.empty() && !name.starts_with("launch.")) return std::string(name);
    at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
  }
  return "";
}

}  // namespace

void give_little_room(const std::string& folder, uint64_t room_bytes, const std::string& full,
                      const StrikeLog& log, const std::function<void()>& on_ready) {
  sigset_t ending;
  sigemptyset(&ending);
  sigaddset(&ending, SIGTERM);
  sigprocmask(SIG_BLOCK, &ending, nullptr);
  const launch::UniqueFd ended(signalfd(-1, &ending, SFD_CLOEXEC));
  SmallRoom room(folder, room_bytes);
  const launch::UniqueFd filling = fill_up(full);
  const launch::UniqueFd watch(inotify_init1(IN_CLOEXEC));
  for (const std::string& watched : {folder, full}) {
    if (!watch || inotify_add_watch(watch.get(), watched.c_str(), IN_CREATE) < 0) fail(watched);
  }
  on_ready();
  std::array<pollfd, 2> fds{{{watch.get(), POLLIN, 0}, {ended.get(), POLLIN, 0}}};
  while (fds[1].revents == 0) {
    if (!ended || poll(fds.data(), fds.size(), -1) < 0) fail(folder);
    if (fds[0].revents == 0) continue;
    const std::string name = newcomer(watch.get());
    if (name.empty()) continue;
    log.struck(-1, name, "create", "log");
    fds[0].fd = -1;
  }
  room.hand_over();
}

}  // namespace batch71::faults
