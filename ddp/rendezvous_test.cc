// Tests of ranks that meet somebody else at MASTER_PORT.
#include <gmock/gmock.h>
#include <torch/version.h>

#include <array>

#include "ddp/ranks_test_util.h"

namespace batch71::ddp {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

// Something at a port of its own that is no store of our libtorch.
class ForeignStore {
 public:
  enum Manners { kHangsUp, kIsSilent };
  explicit ForeignStore(Manners manners) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    listen(fd_, 8);
    if (manners == kIsSilent) return;  // the kernel accepts for it
    pid_ = fork();
    while (pid_ == 0) close(accept(fd_, nullptr, nullptr));
  }
  ~ForeignStore() {
    close(fd_);
    if (pid_ < 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  ForeignStore(const ForeignStore&) = delete;
  ForeignStore& operator=(const ForeignStore&) = delete;
  int port() const {
    sockaddr_in address{};
    socklen_t size = sizeof address;
    getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
    return ntohs(address.sin_port);
  }
  // What all who connected to a silent one have said.
  std::string heard() const {
    std::string all;
    pollfd waiting{fd_, POLLIN, 0};
    while (poll(&waiting, 1, 0) == 1) {
      const int client = accept(fd_, nullptr, nullptr);
      std::array<char, 4096> bytes{};
      const ssize_t size = recv(client, bytes.data(), bytes.size(), MSG_DONTWAIT);
      if (size > 0) all.append(bytes.data(), static_cast<size_t>(size));
      close(client);
    }
    return all;
  }

 private:
  int fd_;
  pid_t pid_ = -1;
};

class Rendezvous : public Ranks {
 protected:
  // Under an agent whose store is at that port; rank 0 is the first to lose its patience.
  std::vector<int> run_under_agent(int port, int world_size) {
    Case with;
    with.sizes.assign(static_cast<size_t>(world_size), 8);
    with.guards().startup_deadline_ms = kRankDeadlineMs;
    with.startup_deadline_ms[0] = 2'000;
    setenv("TORCHELASTIC_USE_AGENT_STORE", "True", 1);
    const std::vector<int> codes = run(with, port);
    unsetenv("TORCHELASTIC_USE_AGENT_STORE");
    return codes;
  }
};

TEST_F(Rendezvous, AnAgentsStoreOfAnotherLibtorchIsAUsageErrorInTime) {
  for (const auto manners : {ForeignStore::kHangsUp, ForeignStore::kIsSilent}) {
    const ForeignStore store(manners);
    EXPECT_THAT(run_under_agent(store.port(), 1), Each(static_cast<int>(ExitCode::kUsage)));
    EXPECT_THAT(error(0), HasSubstr("agent's store does not answer as libtorch"));
    EXPECT_THAT(error(0), Not(HasSubstr("\n")));
  }
}

TEST_F(Rendezvous, ARankThatCannotBeginTellsTheOthers) {
  const ForeignStore silent(ForeignStore::kIsSilent);
  EXPECT_THAT(run_under_agent(silent.port(), 2), Each(static_cast<int>(ExitCode::kUsage)));
  EXPECT_THAT(said(trace::Event::kSymptom), ElementsAre(HasSubstr("rank 0 reports: MASTER_ADDR")));
}

#if TORCH_VERSION_MAJOR < 2  // which says no key before it was answered
TEST_F(Rendezvous, TheAttemptIsPartOfEveryKey) {
  const ForeignStore silent(ForeignStore::kIsSilent);
  setenv("TORCHELASTIC_RESTART_COUNT", "3", 1);
  run_under_agent(silent.port(), 1);
  unsetenv("TORCHELASTIC_RESTART_COUNT");
  EXPECT_THAT(silent.heard(), HasSubstr("batch71/3/hello"));
}
#endif

}  // namespace
}  // namespace batch71::ddp
