// Who waits for a batch waits for a watch that lives.
#include "loader/delivery.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

namespace batch71::loader {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

// It beats ten times a second, and was last seen when the machine started.
TEST(Delivery, AWatchThatIsSilentIsNotWaitedFor) {
  constexpr std::chrono::seconds kPatience{5};
  Delivery delivery(std::make_shared<Bell>());
  delivery.start({});
  delivery.saw_watch(0);
  std::future<BatchWork> batch = std::async(std::launch::async, [&] { return delivery.take(); });
  EXPECT_EQ(batch.wait_for(kPatience), std::future_status::ready);
  delivery.fail({ExitCode::kInterrupted, "the test has waited long enough"});
  EXPECT_THAT([&] { batch.get(); }, ThrowsMessage<LoaderFatal>(HasSubstr("watch is silent")));
}

}  // namespace
}  // namespace batch71::loader
