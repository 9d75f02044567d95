// Tests of a checkpoint's form and of what may go on where.
#include "ddp/checkpoint.h"

#include <gmock/gmock.h>

#include "trace/errors.h"

namespace batch71::ddp {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::ThrowsMessage;

Checkpoint some() {
  Checkpoint checkpoint;
  checkpoint.state = {4, 71, ~uint64_t{0}, 2, 3, 1, 72, 2304, 160, 5, 0.1};
  checkpoint.weights = std::string("\0\n\xff weights", 11);
  return checkpoint;
}

auto refuses(const std::string& why) {
  return ThrowsMessage<UsageError>(AllOf(HasSubstr("here: no whole checkpoint"), HasSubstr(why)));
}

TEST(CheckpointForm, SurvivesTravel) {
  const Checkpoint read = decode(encode(some()), "here");
  EXPECT_EQ(read.state, some().state);
  EXPECT_EQ(read.weights, some().weights);
}

TEST(CheckpointForm, EveryCutIsSeen) {
  const std::string whole = encode(some());
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_THAT([&] { decode(whole.substr(0, size), "here"); }, refuses("")) << size;
  }
}

TEST(CheckpointForm, ChangedWeightsAreSeen) {
  std::string bytes = encode(some());
  bytes.back() ^= 1;
  EXPECT_THAT([&] { decode(bytes, "here"); }, refuses("its checksum is wrong"));
}

TEST(CheckpointForm, OtherFilesAreSeen) {
  EXPECT_THAT([&] { decode("{\"format\":2}\n", "here"); }, refuses("its format is not known"));
  EXPECT_THAT([&] { decode("hello\n", "here"); }, refuses(""));
  EXPECT_THAT([&] { decode("[]\n", "here"); }, refuses(""));
}

TEST(WhyRefused, NamesTheFirstDifferenceAndNotHowFarItCame) {
  const JobState saved = some().state;
  JobState job = saved;
  job.batches = 0;
  job.steps = 0;
  EXPECT_THAT(why_refused(saved, job), IsEmpty());
  job.plan_digest = 0;
  EXPECT_THAT(why_refused(saved, job), HasSubstr("the plan 0000000000000003, this job has 00"));
  job.seed = 0;
  EXPECT_EQ(why_refused(saved, job), "was saved with seed 71, this job has 0");
  job.world_size = 2;
  EXPECT_EQ(why_refused(saved, job), "was saved with world size 4, this job has 2");
}

}  // namespace
}  // namespace batch71::ddp
