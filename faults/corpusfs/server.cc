// The FUSE file system: libfuse's low-level interface, which allows to leave a request unanswered.
#include "faults/corpusfs/server.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>

#include <array>
#include <climits>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <thread>
#include <unordered_map>

#include "faults/corpusfs/held_requests.h"
#include "launch/fd.h"

namespace batch71::faults {
namespace {

using launch::UniqueFd;

// Inode numbers by path, for as long as the server lives: a corpus is small.
class Inodes {
 public:
  fuse_ino_t of(const std::string& path) {
    const std::lock_guard lock(mutex_);
    const auto [found, is_new] = numbers_.try_emplace(path, paths_.size() + FUSE_ROOT_ID);
    if (is_new) paths_.push_back(path);
    return found->second;
  }
  // Relative to the folder; "." is the folder itself.
  std::string path(fuse_ino_t inode) {
    const std::lock_guard lock(mutex_);
    return paths_.at(inode - FUSE_ROOT_ID);
  }
  std::string child(fuse_ino_t parent, const char* name) {
    return parent == FUSE_ROOT_ID ? name : path(parent) + "/" + name;
  }

 private:
  std::mutex mutex_;
  std::deque<std::string> paths_{"."};
  std::unordered_map<std::string, fuse_ino_t> numbers_{{".", FUSE_ROOT_ID}};
};

struct Server {
  UniqueFd root;  // the folder, opened before it is mounted over
  Inodes inodes;
  HeldRequests held;
  Rules* rules = nullptr;
  const StrikeLog* log = nullptr;
};

Server& server_of(fuse_req_t request) { return *static_cast<Server*>(fuse_req_userdata(request)); }

int number_in_status(int tid, std::string_view key) {
  std::ifstream status("/proc/" + std::to_string(tid) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(key)) return std::stoi(line.substr(key.size()));
  }
  return -1;
}

// FUSE tells the thread that reads; the strike is at its process.
int process_of(int tid) { return number_in_status(tid, "Tgid:"); }

void send_signal(int pid, int signal) {
  const UniqueFd pidfd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  if (pidfd) syscall(SYS_pidfd_send_signal, pidfd.get(), signal, nullptr, 0);
}

// True if the request is to be answered as usual.
bool let_pass(fuse_req_t request, Op op, const std::string& path) {
  Server& server = server_of(request);
  const std::optional<Action> action = server.rules->take(op, path);
  if (!action) return true;
  const int pid = process_of(fuse_req_ctx(request)->pid);
  server.log->struck(pid, path, name(op), name(*action));
  switch (*action) {
    case Action::kLog: return true;
    case Action::kFail: fuse_reply_err(request, EIO); return false;
    case Action::kDeny: fuse_reply_err(request, ENOENT); return false;
    case Action::kBlock: server.held.hold(request); return false;
    case Action::kBlockDeaf: return false;
    case Action::kStopReader: send_signal(pid, SIGSTOP); return true;
    case Action::kKillReader: send_signal(pid, SIGKILL); return true;
    case Action::kKillParent: send_signal(number_in_status(pid, "PPid:"), SIGKILL); return true;
  }
  return true;
}

void on_lookup(fuse_req_t request, fuse_ino_t parent, const char* name) {
  Server& server = server_of(request);
  const std::string path = server.inodes.child(parent, name);
  if (server.rules->is_denied(path)) {
    fuse_reply_err(request, ENOENT);
    return;
  }
  if (!let_pass(request, Op::kLookup, path)) return;
  fuse_entry_param entry{};  // both time-outs 0: asked again each time
  if (fstatat(server.root.get(), path.c_str(), &entry.attr, AT_SYMLINK_NOFOLLOW) != 0) {
    fuse_reply_err(request, errno);
    return;
  }
  entry.ino = server.inodes.of(path);
  entry.attr.st_ino = entry.ino;
  fuse_reply_entry(request, &entry);
}

void on_getattr(fuse_req_t request, fuse_ino_t inode, fuse_file_info*) {
  Server& server = server_of(request);
  struct stat info {};
  if (fstatat(server.root.get(), server.inodes.path(inode).c_str(), &info, AT_SYMLINK_NOFOLLOW) !=
      0) {
    fuse_reply_err(request, errno);
    return;
  }
  info.st_ino = inode;
  fuse_reply_attr(request, &info, 0.0);
}

void on_readlink(fuse_req_t request, fuse_ino_t inode) {
  Server& server = server_of(request);
  std::array<char, PATH_MAX + 1> target{};
  const ssize_t length = readlinkat(server.root.get(), server.inodes.path(inode).c_str(),
                                    target.data(), target.size() - 1);
  if (length < 0)
    fuse_reply_err(request, errno);
  else
    fuse_reply_readlink(request, target.data());
}

void on_open(fuse_req_t request, fuse_ino_t inode, fuse_file_info* file) {
  Server& server = server_of(request);
  const std::string path = server.inodes.path(inode);
  if (!let_pass(request, Op::kOpen, path)) return;
  if ((file->flags & O_ACCMODE) != O_RDONLY) {
    fuse_reply_err(request, EROFS);
    return;
  }
  const int fd = openat(server.root.get(), path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    fuse_reply_err(request, errno);
    return;
  }
  file->fh = static_cast<uint64_t>(fd);
  file->direct_io = 1;
  fuse_reply_open(request, file);
}

void on_read(fuse_req_t request, fuse_ino_t inode, size_t size, off_t offset,
             fuse_file_info* file) {
  Server& server = server_of(request);
  if (!let_pass(request, Op::kRead, server.inodes.path(inode))) return;
  std::vector<char> buffer(size);
  const ssize_t length = pread(static_cast<int>(file->fh), buffer.data(), size, offset);
  if (length < 0)
    fuse_reply_err(request, errno);
  else
    fuse_reply_buf(request, buffer.data(), static_cast<size_t>(length));
}

void on_release(fuse_req_t request, fuse_ino_t, fuse_file_info* file) {
  close(static_cast<int>(file->fh));
  fuse_reply_err(request, 0);
}

void on_opendir(fuse_req_t request, fuse_ino_t inode, fuse_file_info* file) {
  Server& server = server_of(request);
  const int fd = openat(server.root.get(), server.inodes.path(inode).c_str(),
                        O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* folder = fd < 0 ? nullptr : fdopendir(fd);
  if (folder == nullptr) {
    fuse_reply_err(request, errno);
    return;
  }
  file->fh = reinterpret_cast<uint64_t>(folder);
  fuse_reply_open(request, file);
}

void on_readdir(fuse_req_t request, fuse_ino_t inode, size_t size, off_t offset,
                fuse_file_info* file) {
  Server& server = server_of(request);
  DIR* folder = reinterpret_cast<DIR*>(file->fh);
  seekdir(folder, offset);
  std::vector<char> buffer(size);
  size_t used = 0;
  while (const dirent* entry = readdir(folder)) {
    struct stat info {};
    info.st_ino = server.inodes.of(server.inodes.child(inode, entry->d_name));
    info.st_mode = DTTOIF(entry->d_type);
    const size_t length = fuse_add_direntry(request, buffer.data() + used, size - used,
                                            entry->d_name, &info, telldir(folder));
    if (length > size - used) break;
    used += length;
  }
  fuse_reply_buf(request, buffer.data(), used);
}

void on_releasedir(fuse_req_t request, fuse_ino_t, fuse_file_info* file) {
  closedir(reinterpret_cast<DIR*>(file->fh));
  fuse_reply_err(request, 0);
}

constexpr fuse_lowlevel_ops operations() {
  fuse_lowlevel_ops out{};
  out.lookup = on_lookup;
  out.getattr = on_getattr;
  out.readlink = on_readlink;
  out.open = on_open;
  out.read = on_read;
  out.release = on_release;
  out.opendir = on_opendir;
  out.readdir = on_readdir;
  out.releasedir = on_releasedir;
  return out;
}

bool is_fuse_mount(const std::string& folder) {
  struct statfs info {};
  if (statfs(folder.c_str(), &info) != 0) return errno == ENOTCONN;
  return info.f_type == FUSE_SUPER_MAGIC;
}

// A child that unmounts when this process has ended, also by SIGKILL. Forked before /dev/fuse is
// opened: a second holder of it would keep the readers waiting.
void start_unmounter(const std::string& folder) {
  const UniqueFd server(static_cast<int>(syscall(SYS_pidfd_open, getpid(), 0)));
  const pid_t child = server ? fork() : -1;
  if (child < 0) throw std::runtime_error(std::string("cannot fork: ") + std::strerror(errno));
  if (child > 0) return;
  // Its end is the server's end, which is why this wait has no deadline.
  pollfd end{server.get(), POLLIN, 0};
  while (poll(&end, 1, -1) <= 0) {
  }
  if (is_fuse_mount(folder)) umount2(folder.c_str(), MNT_DETACH);
  _exit(0);
}

}  // namespace

void serve_folder(const std::string& folder, Rules& rules, const StrikeLog& log,
                  const std::function<void()>& on_ready) {
  // Never destroyed: its threads use it until the process ends.
  Server& server = *new Server;
  server.rules = &rules;
  server.log = &log;
  server.root = UniqueFd(open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!server.root) throw std::runtime_error(folder + ": " + std::strerror(errno));
  start_unmounter(folder);
  std::thread([&server] { server.held.answer_interrupted(); }).detach();

  std::array<std::string, 3> words{"corpusfs", "-o", "fsname=corpus,subtype=corpusfs,ro"};
  std::array<char*, 3> pointers{words[0].data(), words[1].data(), words[2].data()};
  fuse_args arguments = FUSE_ARGS_INIT(static_cast<int>(pointers.size()), pointers.data());
  const fuse_lowlevel_ops handlers = operations();
  const std::unique_ptr<fuse_session, decltype(&fuse_session_destroy)> session(
      fuse_session_new(&arguments, &handlers, sizeof handlers, &server), &fuse_session_destroy);
  fuse_opt_free_args(&arguments);
  if (!session || fuse_session_mount(session.get(), folder.c_str()) != 0) {
    throw std::runtime_error(folder + ": cannot be served over itself by FUSE");
  }
  on_ready();
  fuse_loop_config config{};
  config.max_idle_threads = 4;
  fuse_session_loop_mt(session.get(), &config);
}

}  // namespace batch71::faults
