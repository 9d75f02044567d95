// Tests of the ledger where it cannot be written.
#include "ddp/ledger.h"

#include <gmock/gmock.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <string>
#include <vector>

namespace batch71::ddp {
namespace {

// Files end at so many bytes while it lives, as on a disk that is full.
class SmallFiles {
 public:
  explicit SmallFiles(rlim_t size_bytes) {
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit small{size_bytes, before_.rlim_max};
    former_ = signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
  }
  ~SmallFiles() {
    setrlimit(RLIMIT_FSIZE, &before_);
    signal(SIGXFSZ, former_);
  }

 private:
  rlimit before_{};
  sighandler_t former_{};
};

TEST(Ledger, AWriteThatIsCutShortSaysWhy) {
  const std::string path = ::testing::TempDir() + "ledger-" + std::to_string(getpid());
  std::string why;
  {
    const SmallFiles scope(10);
    Ledger ledger(path, 0);
    errno = EINPROGRESS;  // of something else, long ago
    try {
      ledger.done(1, 0);
    } catch (const std::runtime_error& error) {
      why = error.what();
    }
  }
  unlink(path.c_str());
  EXPECT_THAT(why, ::testing::HasSubstr("after 10 of"));
  EXPECT_THAT(why, ::testing::HasSubstr("File too large"));
}

TEST(Ledger, AfterATornLineABeginningHasALineOfItsOwn) {
  const std::string path = ::testing::TempDir() + "ledger-" + std::to_string(getpid());
  std::ofstream(path) << "{\"rank\":0,\"step\":0}\n{\"rank\":0,\"st";
  Ledger(path, 0).begun(1);
  std::vector<std::string> lines;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  unlink(path.c_str());
  EXPECT_THAT(lines, ::testing::ElementsAre("{\"rank\":0,\"step\":0}", "{\"rank\":0,\"st",
                                            "{\"rank\":0,\"begin\":true,\"steps\":1}"));
}

}  // namespace
}  // namespace batch71::ddp
