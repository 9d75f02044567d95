// Tests of waiting for a listener.
#include "ddp/listener.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <thread>

#include "loader/unique_fd.h"
#include "trace/clock.h"

namespace batch71::ddp {
namespace {

uint64_t in_ms(uint64_t ms) { return trace::monotonic_ns() + ms * 1'000'000; }

// A port of our own at which nobody listens yet.
class Port : public ::testing::Test {
 protected:
  Port() : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), size);
    getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
  }
  void listen_now() const { listen(fd_.get(), 8); }
  int port() const { return port_; }

 private:
  loader::UniqueFd fd_;
  int port_ = 0;
};

TEST_F(Port, WhereSomebodyListensIsFound) {
  listen_now();
  EXPECT_TRUE(await_listener("127.0.0.1", port(), in_ms(10'000)));
}

TEST_F(Port, WhoListensLaterIsWaitedFor) {
  std::thread late([this] {
    poll(nullptr, 0, 50);  // time to be refused; should that not happen, the test is only weaker
    listen_now();
  });
  EXPECT_TRUE(await_listener("127.0.0.1", port(), in_ms(10'000)));
  late.join();
}

TEST_F(Port, NobodyIsNotWaitedForLongerThanTheDeadline) {
  EXPECT_FALSE(await_listener("127.0.0.1", port(), in_ms(50)));
}

TEST_F(Port, AHostWithoutAnAddressHasNoListener) {
  EXPECT_FALSE(await_listener("no such host", port(), in_ms(10'000)));
}

}  // namespace
}  // namespace batch71::ddp
