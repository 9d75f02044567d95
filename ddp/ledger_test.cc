// Tests of the ledger where it cannot be written.
#include "ddp/ledger.h"

#include <gmock/gmock.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <string>

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

}  // namespace
}  // namespace batch71::ddp
