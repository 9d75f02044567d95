// Memory for batches is counted before it is needed.
#include "loader/slots.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "trace/errors.h"

namespace batch71::loader {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

// Mapped it would be; who fills it would be ended by the kernel.
TEST(Slots, MoreThanTheMachineHasIsRefusedAtTheStart) {
  constexpr size_t kTerabyte = size_t{1} << 40;
  EXPECT_THAT([] { Slots(1, kTerabyte, std::make_shared<Bell>()); },
              ThrowsMessage<UsageError>(HasSubstr("lower batch_size, max_duration")));
}

}  // namespace
}  // namespace batch71::loader
