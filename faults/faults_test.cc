// The catalogue and its page; fault plans, and those that cannot be.
#include <gmock/gmock.h>

#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>

#include "faults/plan.h"
#include "loader/config.h"
#include "trace/errors.h"

namespace batch71::faults {
namespace {

using testing::HasSubstr;

// Rank r of 4 consumes 4 * k + r, eight to a batch, 80 batches; in epoch 1 what r + 1 had before.
JobShape job_of_four() {
  return {4, 2, 80, [](int rank, int32_t epoch, int64_t batch) {
            std::vector<int64_t> indices;
            for (int64_t k = 8 * batch; k < 8 * (batch + 1); ++k) {
              indices.push_back(4 * k + (rank + epoch) % 4);
            }
            return indices;
          }};
}

std::string refusal(const std::string& text, const JobShape& job) {
  try {
    resolve(parse_plan(text), job);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "accepted";
}

TEST(Catalogue, HasItsFaults) {
  EXPECT_EQ(catalogue().size(), 33u);
  EXPECT_EQ(find_fault("file_fifo").verdict, "read_blocked");
}

TEST(Catalogue, UnknownNameIsRefusedWithTheNearest) {
  EXPECT_THAT([] { find_fault("featuriser_hang"); },
              testing::ThrowsMessage<UsageError>(HasSubstr("'featurizer_hang'")));
}

TEST(Catalogue, PageIsWhatTheCatalogueSays) {
  const std::string path = BATCH71_SOURCE_DIR "/docs/faults.md";
  if (std::getenv("BATCH71_UPDATE_DOCS") != nullptr) std::ofstream(path) << catalogue_as_markdown();
  std::string page;
  std::getline(std::ifstream(path), page, '\0');
  EXPECT_TRUE(page == catalogue_as_markdown())
      << path << " is out of date: run this test once with BATCH71_UPDATE_DOCS=1";
}

std::string read_file(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Between its markers.
TEST(Readme, TableOfFaultsAndGuardsIsWhatTheCatalogueSays) {
  const std::string path = BATCH71_SOURCE_DIR "/README.md";
  const std::string begin = "<!-- generated: faults and guards -->\n";
  std::string page = read_file(path);
  const size_t from = page.find(begin);
  const size_t to = page.find("<!-- end -->", from);
  ASSERT_NE(from, std::string::npos);
  ASSERT_NE(to, std::string::npos);
  const size_t at = from + begin.size();
  const std::string wanted = "\n" + faults_and_guards_as_markdown() + "\n";
  if (std::getenv("BATCH71_UPDATE_DOCS") != nullptr) {
    std::ofstream(path) << page.replace(at, to - at, wanted);
    return;
  }
  EXPECT_TRUE(page.substr(at, to - at) == wanted)
      << path << " is out of date: run this test once with BATCH71_UPDATE_DOCS=1";
}

// The first cells of a page's rows, in backticks.
std::set<std::string> rows_of(const std::string& page) {
  std::set<std::string> names;
  std::istringstream lines(page);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("| `")) names.insert(line.substr(3, line.find('`', 3) - 3));
  }
  return names;
}

// The rows themselves are proven by ci/prove-guards.
TEST(Guards, EverySettingAndEveryFaultHasItsRow) {
  const std::set<std::string> guards = rows_of(read_file(BATCH71_SOURCE_DIR "/docs/guards.md"));
  const std::string settings = loader::describe_config();
  const std::set<std::string> keys = rows_of(settings.substr(settings.find("## `guards:`")));
  EXPECT_FALSE(keys.empty());
  for (const std::string& key : keys) EXPECT_TRUE(guards.contains(key)) << key;
  for (const Fault& fault : catalogue()) {
    EXPECT_TRUE(guards.contains(fault.guard)) << fault.name << ": '" << fault.guard << "'";
  }
}

TEST(Plan, SurvivesItsText) {
  for (const char* text : {"wav_nan", "worker_sigkill@rank=1,batch=71", "wav_nan@index=7",
                           "rank_sigstop@rank=3,worker=1,epoch=0,batch=2,index=9"}) {
    EXPECT_EQ(to_text(parse_plan(text)), text);
  }
}

TEST(Plan, MeansTheFirstSampleOfItsBatch) {
  const Where where = resolve(parse_plan("wav_nan@rank=2,batch=3"), job_of_four());
  EXPECT_EQ(to_text(where), "rank=2,batch=3,index=98");
}

TEST(Plan, TellsAsMuchOfAPlaceAsTheFaultHas) {
  const auto told = [](const std::string& text) {
    const FaultPlan plan = parse_plan(text);
    return to_text(*plan.fault, resolve(plan, job_of_four()));
  };
  EXPECT_EQ(told("wav_nan@rank=2,batch=3"), "rank=2,batch=3,index=98");
  EXPECT_EQ(told("rank_sigkill@rank=2,batch=3"), "rank=2,batch=3");
  EXPECT_EQ(told("seed_differs@rank=2"), "rank=2");
  EXPECT_EQ(told("rank_never_starts@rank=2"), "rank=2");
  EXPECT_EQ(told("sampler_missing"), "all ranks");
}

TEST(Plan, FindsTheBatchOfAnIndex) {
  EXPECT_EQ(resolve(parse_plan("wav_nan@rank=1,index=9"), job_of_four()).batch, 0);
}

TEST(Plan, StrikesBatch71OfRank1IfNotTold) {
  EXPECT_EQ(to_text(resolve(parse_plan("wav_nan"), job_of_four())), "rank=1,batch=71,index=2273");
  JobShape small = job_of_four();
  small.world_size = 1;
  small.num_batches = 12;
  EXPECT_EQ(to_text(resolve(parse_plan("wav_nan"), small)), "rank=0,batch=6,index=192");
}

TEST(Plan, StrikesInALaterEpochWhereThatIsWanted) {
  JobShape job = job_of_four();
  job.num_epochs = 3;
  const Where where = resolve(parse_plan("featurizer_hang@rank=2,epoch=1,batch=3"), job);
  EXPECT_EQ(to_text(where), "rank=2,epoch=1,batch=3,index=99");
  EXPECT_EQ(resolve(parse_plan("featurizer_hang@rank=2,epoch=1,index=99"), job).batch, 3);
  EXPECT_THAT(refusal("featurizer_hang@epoch=3", job), HasSubstr("epoch 3 of 3 cannot be"));
}

TEST(Plan, StrikesInTheFirstEpochThatTheFaultAllows) {
  JobShape job = job_of_four();
  job.num_epochs = 2;
  EXPECT_EQ(resolve(parse_plan("featurizer_hang"), job).epoch, 0);
  EXPECT_EQ(resolve(parse_plan("worker_state_poisoned"), job).epoch, 1);
  EXPECT_THAT(refusal("worker_state_poisoned@epoch=0", job), HasSubstr("from epoch 1 on"));
  EXPECT_THAT(refusal("wav_nan@epoch=1", job), HasSubstr("in epoch 0, and again in each later"));
}

TEST(Plan, TheStoreIsHostedByRank0) {
  EXPECT_EQ(resolve(parse_plan("store_host_stopped"), job_of_four()).rank, 0);
  EXPECT_THAT(refusal("store_host_stopped@rank=1", job_of_four()),
              HasSubstr("rank 0 hosts the store"));
}

TEST(Plan, PlacesThatCannotBeAreRefused) {
  const JobShape job = job_of_four();
  EXPECT_THAT(refusal("wav_nan@rank=7", job), HasSubstr("rank 7 of 4 cannot be: ranks are 0 to 3"));
  EXPECT_THAT(refusal("wav_nan@batch=80", job), HasSubstr("batch 80 of 80 cannot be"));
  EXPECT_THAT(refusal("wav_nan@worker=2", job), HasSubstr("worker 2 of 2 cannot be"));
  EXPECT_THAT(refusal("wav_nan@worker=1", job), HasSubstr("leave worker out"));
  EXPECT_THAT(refusal("wav_nan@epoch=1", job), HasSubstr("epoch 1 of 1 cannot be"));
  EXPECT_THAT(refusal("wav_nan@rank=1,index=8", job), HasSubstr("not consumed by rank 1"));
  EXPECT_THAT(refusal("wav_nan@rank=1,batch=1,index=9", job), HasSubstr("not in batch 1"));
}

TEST(Plan, AShardMayEndBeforeItsBatch) {
  JobShape job = job_of_four();
  const auto of_all = job.indices_of;
  job.indices_of = [of_all](int rank, int32_t epoch, int64_t batch) {
    return rank == 3 && batch > 5 ? std::vector<int64_t>{} : of_all(rank, epoch, batch);
  };
  EXPECT_EQ(resolve(parse_plan("wav_nan@rank=3,batch=5"), job).batch, 5);
  EXPECT_THAT(refusal("wav_nan@rank=3,batch=6", job), HasSubstr("the shard of rank 3 ends before"));
}

TEST(Plan, WhatDealsOutTheDataStrikesRanksThatShareIt) {
  JobShape job = job_of_four();
  EXPECT_EQ(why_not_applicable(find_fault("seed_differs"), job), "");
  job.is_sharded = true;
  EXPECT_THAT(why_not_applicable(find_fault("seed_differs"), job), HasSubstr("its own shard"));
  job = job_of_four();
  job.world_size = 1;
  EXPECT_THAT(why_not_applicable(find_fault("seed_differs"), job), HasSubstr("nobody to differ"));
}

TEST(Plan, TextsThatMeanNothingAreRefused) {
  const JobShape job = job_of_four();
  EXPECT_THAT(refusal("", job), HasSubstr("unknown fault ''"));
  EXPECT_THAT(refusal("wav_nan@", job), HasSubstr("unknown key ''"));
  EXPECT_THAT(refusal("wav_nan@rnak=1", job), HasSubstr("nearest known one is 'rank'"));
  EXPECT_THAT(refusal("wav_nan@rank", job), HasSubstr("rank is ''"));
  EXPECT_THAT(refusal("wav_nan@rank=-1", job), HasSubstr("rank is '-1'"));
  EXPECT_THAT(refusal("wav_nan@rank=1,rank=2", job), HasSubstr("given twice"));
}

TEST(Plan, FaultsOfWorkersNeedWorkers) {
  JobShape job = job_of_four();
  EXPECT_EQ(why_not_applicable(find_fault("worker_sigkill"), job), "");
  job.num_workers = 0;
  EXPECT_THAT(why_not_applicable(find_fault("worker_sigkill"), job), HasSubstr("num_workers: 0"));
}

TEST(Plan, ALockAtForkNeedsWorkersThatAreForkedLater) {
  const Fault& lock = find_fault("lock_at_fork");
  JobShape job = job_of_four();
  job.num_epochs = 2;
  EXPECT_THAT(why_not_applicable(lock, job), HasSubstr("persistent_workers: true"));
  job.persistent_workers = false;
  EXPECT_EQ(why_not_applicable(lock, job), "");
  EXPECT_EQ(resolve(parse_plan("lock_at_fork"), job).epoch, 1);
}

TEST(Plan, AJobMayHaveNoNoise) {
  JobShape job = job_of_four();
  EXPECT_THAT(why_not_applicable(find_fault("noise_fifo"), job), HasSubstr("no noise"));
  job.has_noise = true;
  EXPECT_EQ(why_not_applicable(find_fault("noise_fifo"), job), "");
}

TEST(Plan, AJobMayLackEpochsOrHaveTheRemedy) {
  const Fault& poisoned = find_fault("worker_state_poisoned");
  JobShape job = job_of_four();
  EXPECT_THAT(why_not_applicable(poisoned, job), HasSubstr("2 epochs"));
  job.num_epochs = 2;
  EXPECT_EQ(why_not_applicable(poisoned, job), "");
  EXPECT_FALSE(is_spared(poisoned, job));
  job.persistent_workers = false;
  EXPECT_TRUE(is_spared(poisoned, job));
  EXPECT_FALSE(is_spared(find_fault("wav_nan"), job));
}

}  // namespace
}  // namespace batch71::faults
