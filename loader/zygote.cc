// The zygote's life: starting, serving, ending (docs/worker-pool.md).
#include "loader/zygote.h"

#include <ATen/Parallel.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "loader/child_process.h"
#include "loader/throw_stack.h"
#include "loader/unique_fd.h"
#include "loader/worker.h"
#include "trace/clock.h"

namespace batch71::loader {
namespace {

struct Child {
  SpawnRequest who;
  pid_t pid = 0;
  UniqueFd pidfd;
};

// The encoding of waitpid, from what waitid gives.
int wait_status(const siginfo_t& info) {
  if (info.si_code == CLD_EXITED) return (info.si_status & 0xff) << 8;
  return info.si_status | (info.si_code == CLD_DUMPED ? 0x80 : 0);
}

class Zygote {
 public:
  Zygote(const ChildSetup& setup, int socket) : setup_(setup), socket_(socket) {}

  bool start() {
    ZygoteReport report;
    report.kind = ZygoteReport::Kind::kReady;
    try {
      at::set_num_threads(1);
      dataset_ = setup_.dataset();
      featurizer_ = setup_.featurizer();
      noise_ = noise_mixer(setup_.noise, setup_.config);
      // The unwinder loads a library at its first use: here, not in each worker.
      const ThrowStackScope scope;
      last_throw_stack();
      // A child of a process with threads may hang for ever in a lock that nobody holds any more.
      if (count_threads() != 1)
        throw std::runtime_error("the dataset or the featurizer started a thread");
    } catch (const std::exception& error) {
      fail(report, error.what());
    } catch (...) {
      fail(report, "the dataset's or featurizer's factory threw");
    }
    send(report, -1);
    return report.kind == ZygoteReport::Kind::kReady;
  }

  void serve() {
    bool open = true;
    while (open) {
      std::vector<pollfd> fds = {{socket_, POLLIN, 0}};
      for (const Child& child : children_) fds.push_back({child.pidfd.get(), POLLIN, 0});
      poll(fds.data(), fds.size(), kPollMs);
      reap();
      if (fds[0].revents != 0) open = receive();
    }
  }

  void end() {
    for (const Child& child : children_) kill_process(child.pidfd.get());
    const uint64_t until_ns =
        trace::monotonic_ns() +
        static_cast<uint64_t>(setup_.config.guards.shutdown_deadline_ms) * 500'000;
    while (!children_.empty() && trace::monotonic_ns() < until_ns) {
      pollfd first{children_.front().pidfd.get(), POLLIN, 0};
      poll(&first, 1, kEndPollMs);
      reap();
    }
  }

 private:
  static constexpr int kPollMs = 60'000;
  static constexpr int kEndPollMs = 20;

  static void fail(ZygoteReport& report, const char* why) {
    report.kind = ZygoteReport::Kind::kFailed;
    std::strncpy(report.why.data(), why, report.why.size() - 1);
  }

  void send(const ZygoteReport& report, int fd_to_pass) const {
    iovec part{const_cast<ZygoteReport*>(&report), sizeof report};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (fd_to_pass >= 0) {
      message.msg_control = control.data();
      message.msg_controllen = control.size();
      cmsghdr* header = CMSG_FIRSTHDR(&message);
      header->cmsg_level = SOL_SOCKET;
      header->cmsg_type = SCM_RIGHTS;
      header->cmsg_len = CMSG_LEN(sizeof(int));
      std::memcpy(CMSG_DATA(header), &fd_to_pass, sizeof fd_to_pass);
    }
    sendmsg(socket_, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  }

  // False when the rank closed its end.
  bool receive() {
    SpawnRequest request;
    const ssize_t got = recv(socket_, &request, sizeof request, MSG_DONTWAIT);
    if (got == sizeof request) spawn(request);
    return got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR));
  }

  void spawn(const SpawnRequest& request) {
    const pid_t self = getpid();
    const pid_t pid = fork();
    if (pid == 0) {
      die_with_parent(self);
      close_descriptors_except({setup_.bell.fd()});
      reset_signals();
      run_worker(setup_, request, *dataset_, noise_.get(), *featurizer_);
    }
    if (pid < 0) return;  // the rank's deadline for a spawn answers this
    Child child{request, pid, open_process(pid)};
    ZygoteReport report;
    report.kind = ZygoteReport::Kind::kSpawned;
    report.whose = request;
    report.pid = pid;
    send(report, child.pidfd.get());
    children_.push_back(std::move(child));
  }

  void reap() {
    std::erase_if(children_, [this](const Child& child) {
      siginfo_t info{};
      const int failed =
          waitid(P_PIDFD, static_cast<id_t>(child.pidfd.get()), &info, WEXITED | WNOHANG);
      if (failed != 0 || info.si_pid == 0) return false;
      ZygoteReport report;
      report.kind = ZygoteReport::Kind::kExited;
      report.whose = child.who;
      report.pid = child.pid;
      report.wait_status = wait_status(info);
      send(report, -1);
      return true;
    });
  }

  const ChildSetup& setup_;
  int socket_;
  std::unique_ptr<Dataset> dataset_;
  std::unique_ptr<Featurizer> featurizer_;
  std::unique_ptr<NoiseMixer> noise_;
  std::vector<Child> children_;
};

std::string log_path(const ChildSetup& setup) {
  if (setup.run_folder.empty()) return "";
  return setup.run_folder + "/rank" + std::to_string(setup.rank) + ".workers.log";
}

}  // namespace

void run_zygote(const ChildSetup& setup, int socket, int rank_pid) {
  die_with_parent(rank_pid);
  close_descriptors_except({socket, setup.bell.fd()});
  reset_signals();
  redirect_output(log_path(setup));
  Zygote zygote(setup, socket);
  if (zygote.start()) {
    zygote.serve();
    zygote.end();
  }
  _exit(0);
}

}  // namespace batch71::loader
