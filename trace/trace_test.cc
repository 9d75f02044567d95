// The recorder: what is written is read back, by live, wrapped, killed, cut and hostile writers.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <thread>

#include "trace/errors.h"
#include "trace/peek.h"
#include "trace/process_state.h"
#include "trace/raw_file.h"
#include "trace/reader.h"
#include "trace/run_folder.h"
#include "trace/writer.h"

namespace batch71::trace {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class TraceTest : public ::testing::Test {
 protected:
  void SetUp() override { folder_ = create_run_folder(root_); }
  void TearDown() override { fs::remove_all(root_); }

  Timeline read_back(const std::string& path) {
    std::string why;
    std::optional<Timeline> timeline = read_timeline(path, &why);
    EXPECT_TRUE(timeline.has_value()) << why;
    return timeline.value_or(Timeline{});
  }

  std::string root_ =
      fs::temp_directory_path() / ("batch71-trace-test-" + std::to_string(getpid()));
  std::string folder_;
  const WriterSpec worker_ = {Role::kWorker, 1, 4, 0, 2, 64};
};

TEST_F(TraceTest, RecordsComeBackWithPlaceTextAndTime) {
  const uint64_t before_ns = monotonic_ns();
  Writer writer(folder_, worker_);
  writer.begin({3, 71, 568});
  writer.record(Event::kGetitemCalled, Stage::kGetitem);
  writer.record_text(Event::kAudioOpening, Stage::kAudioOpen, "/corpus/a b.wav");
  writer.record(Event::kAudioLoaded, Stage::kFeaturize, 1, 4000);
  writer.incident(Event::kError, Stage::kFeaturize, "bad sample");
  const uint64_t after_ns = monotonic_ns();

  const Timeline timeline = read_back(folder_ + "/rank1.worker0.g2.b71");
  EXPECT_EQ(timeline.writer.pid, getpid());
  EXPECT_EQ(timeline.writer.rank, 1);
  EXPECT_EQ(timeline.writer.world_size, 4);
  EXPECT_EQ(timeline.writer.generation, 2);
  ASSERT_THAT(timeline.hot, SizeIs(3));
  EXPECT_EQ(timeline.hot[1].text, "/corpus/a b.wav");
  EXPECT_EQ(timeline.hot[1].stage, Stage::kAudioOpen);
  EXPECT_EQ(timeline.hot[2].index, 568);
  EXPECT_EQ(timeline.hot[2].batch, 71);
  EXPECT_EQ(timeline.hot[2].epoch, 3);
  EXPECT_EQ(timeline.hot[2].arg1, 4000);
  ASSERT_THAT(timeline.incidents, SizeIs(1));
  EXPECT_EQ(timeline.incidents[0].text, "bad sample");
  // The rate is an estimate here (half a percent of what lies behind the anchor).
  EXPECT_NEAR(static_cast<double>(timeline.hot[0].monotonic_ns), static_cast<double>(before_ns),
              static_cast<double>(after_ns - before_ns) + 1e6);
  EXPECT_THAT(timeline.problems, IsEmpty());
}

TEST_F(TraceTest, TheHotRingWrapsAndKeepsTheNewestWithTheirTexts) {
  Writer writer(folder_, worker_);
  for (int i = 1; i <= 50'000; ++i) {
    writer.begin({0, 0, i});
    writer.record_text(Event::kAudioOpening, Stage::kAudioOpen, "/corpus/" + std::to_string(i));
  }
  const Timeline timeline = read_back(writer.path());
  ASSERT_THAT(timeline.hot, SizeIs(64));
  for (size_t i = 0; i < 64; ++i) {
    EXPECT_EQ(timeline.hot[i].index, static_cast<int64_t>(50'000 - 63 + i));
    EXPECT_EQ(timeline.hot[i].text, "/corpus/" + std::to_string(timeline.hot[i].index));
  }
  EXPECT_EQ(timeline.hot_lost, 50'000u - 64u);
}

TEST_F(TraceTest, AFloodOfDummiesLeavesRoomForTheVerdict) {
  Writer writer(folder_, worker_);
  for (int i = 0; i < 5'000; ++i)
    writer.incident(Event::kDummy, Stage::kAudioOpen, "reason=missing");
  writer.incident(Event::kVerdict, Stage::kShutdown, "the end of the story");
  const Timeline timeline = read_back(writer.path());
  EXPECT_EQ(timeline.incidents.back().text, "the end of the story");
  EXPECT_EQ(timeline.incidents_lost, 5'000u - (timeline.incidents.size() - 1));
}

// A record says in every field which one it is, so that a torn one cannot look whole.
void write_marked(Writer& writer, int64_t i) {
  writer.begin({static_cast<int32_t>(i), static_cast<int32_t>(i), i});
  writer.record(Event::kItemDone, Stage::kQueueWait, i, i);
}

void expect_whole(const Timeline& timeline) {
  for (const Entry& entry : timeline.hot) {
    EXPECT_EQ(entry.index, entry.arg0);
    EXPECT_EQ(entry.index, entry.arg1);
    EXPECT_EQ(entry.index, static_cast<int64_t>(entry.sequence));
    EXPECT_EQ(static_cast<int32_t>(entry.index), entry.batch);
  }
}

TEST_F(TraceTest, AReaderOfARunningWriterNeverSeesATornRecord) {
  std::atomic<bool> stop{false};
  std::atomic<bool> started{false};
  const std::string path = folder_ + "/" + file_name(worker_);
  std::thread thread([&] {
    Writer writer(folder_, worker_);
    for (int64_t i = 1; !stop; ++i) {
      write_marked(writer, i);
      started = true;
      started.notify_one();
    }
  });
  started.wait(false);
  // A writer that never pauses may overwrite all of its ring in each single read.
  constexpr uint64_t kGiveUpNs = 20'000'000'000;
  const uint64_t give_up_ns = monotonic_ns() + kGiveUpNs;
  size_t seen = 0;
  for (int round = 0; round < 2'000 || (seen == 0 && monotonic_ns() < give_up_ns); ++round) {
    const Timeline timeline = read_back(path);
    seen += timeline.hot.size();
    expect_whole(timeline);
    if (HasFailure()) break;
  }
  stop = true;
  thread.join();
  EXPECT_GT(seen, 0u);
}

// Two copies of a ring of three: one record was overwritten between them, one was never written.
TEST(RawFile, ARecordThatChangedBetweenTwoCopiesIsLeftOut) {
  std::array<Record, 3> first{}, second{};
  first[0].sequence = second[0].sequence = 4;
  first[1].sequence = second[1].sequence = 2;
  first[1].arg0 = 2;
  second[1].arg0 = 5;
  const auto bytes = [](const std::array<Record, 3>& area) {
    return std::string_view(reinterpret_cast<const char*>(area.data()), sizeof area);
  };
  EXPECT_THAT(stable_records(bytes(first), bytes(second), 3),
              ElementsAre(Field(&Record::sequence, 4u)));
  EXPECT_THAT(stable_records(bytes(first), bytes(first), 3),
              ElementsAre(Field(&Record::sequence, 2u), Field(&Record::sequence, 4u)));
}

// In the middle of a record too, as many a stop will find it.
TEST_F(TraceTest, AWriterThatIsStoppedAnywhereShowsNoTornRecord) {
  Writer writer(folder_, worker_);
  const pid_t child = fork();
  for (int64_t i = 1; child == 0; ++i) write_marked(writer, i);
  constexpr uint64_t kGiveUpNs = 20'000'000'000;
  const uint64_t give_up_ns = monotonic_ns() + kGiveUpNs;
  Peek peek(writer.path());
  uint64_t seen = 0;  // the newest record
  const auto has_written = [&] {
    const std::optional<Entry> newest = peek.newest();
    return newest && newest->sequence > seen;
  };
  for (int stops = 0; stops < 200 && monotonic_ns() < give_up_ns && !HasFailure(); ++stops) {
    while (!has_written() && monotonic_ns() < give_up_ns) sched_yield();
    kill(child, SIGSTOP);
    waitpid(child, nullptr, WUNTRACED);
    const Timeline timeline = read_back(writer.path());
    kill(child, SIGCONT);
    expect_whole(timeline);
    if (!timeline.hot.empty()) seen = timeline.hot.back().sequence;
  }
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  EXPECT_GT(seen, 0u);
}

TEST_F(TraceTest, NothingIsLostWhenTheWriterIsKilled) {
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t child = fork();
  if (child == 0) {
    Writer writer(folder_, worker_);
    for (int64_t i = 1; i <= 50; ++i) write_marked(writer, i);
    writer.incident(Event::kLost, Stage::kFetch, "last words");
    [[maybe_unused]] const ssize_t sent = write(ready[1], "x", 1);
    for (;;) pause();
  }
  char byte = 0;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  close(ready[0]);
  close(ready[1]);

  const Timeline timeline = read_back(folder_ + "/" + file_name(worker_));
  EXPECT_THAT(timeline.hot, SizeIs(50));
  EXPECT_EQ(timeline.hot_lost, 0u);
  EXPECT_EQ(timeline.incidents.back().text, "last words");
  EXPECT_FALSE(writer_is_alive(timeline.writer));
}

TEST_F(TraceTest, EveryCutOfAFileIsReadableOrRefusedInWords) {
  std::string path;
  {
    Writer writer(folder_, worker_);
    path = writer.path();
    for (int64_t i = 1; i <= 10; ++i) write_marked(writer, i);
    writer.incident(Event::kDummy, Stage::kAudioOpen, "reason=missing file=/a why=gone");
  }
  const auto full_size = static_cast<int64_t>(fs::file_size(path));
  for (int64_t size = full_size; size >= 0; size -= size > 9'000 ? 4'001 : 37) {
    fs::resize_file(path, static_cast<uintmax_t>(size));
    std::string why;
    const std::optional<Timeline> timeline = read_timeline(path, &why);
    if (!timeline) {
      EXPECT_FALSE(why.empty());
    } else if (size < full_size) {
      EXPECT_FALSE(timeline->problems.empty());
    }
  }
}

TEST_F(TraceTest, RecordsOfOneWriterStayInOrderThoughItsAnchorsDisagree) {
  std::string path;
  {
    Writer writer(folder_, worker_);
    path = writer.path();
    for (int n = 0; n < 8; ++n) writer.incident(Event::kLost, Stage::kNone, "x");  // an anchor each
  }
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  FileHeader header{};
  file.read(reinterpret_cast<char*>(&header), sizeof header);
  header.anchors[3].monotonic_ns += 1'000'000;
  file.seekp(0);
  file.write(reinterpret_cast<const char*>(&header), sizeof header);
  file.close();
  const std::vector<Entry> incidents = read_back(path).incidents;
  ASSERT_THAT(incidents, SizeIs(8));
  EXPECT_TRUE(std::is_sorted(
      incidents.begin(), incidents.end(),
      [](const Entry& a, const Entry& b) { return a.monotonic_ns < b.monotonic_ns; }));
}

TEST_F(TraceTest, ASecondWriterOfTheSameNameSpoilsNothingForTheFirst) {
  Writer first(folder_, worker_);
  const Writer second(folder_, worker_);
  ASSERT_TRUE(second.is_open());
  first.record(Event::kFeaturizing, Stage::kFeaturize);  // into a file without a name
  EXPECT_THAT(read_back(second.path()).hot, IsEmpty());
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), {}), 1);
}

TEST_F(TraceTest, WithoutADescriptorLeftNobodyIsTakenForDead) {
  Writer writer(folder_, worker_);
  const WriterId own = read_back(writer.path()).writer;
  ASSERT_TRUE(writer_is_alive(own));
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  const rlimit none{0, before.rlim_max};
  setrlimit(RLIMIT_NOFILE, &none);
  const bool is_alive = writer_is_alive(own);
  setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_TRUE(is_alive);
}

TEST_F(TraceTest, HostileFilesAreRefusedInWords) {
  std::string why;
  std::ofstream(folder_ + "/noise.b71") << std::string(10'000, '\xff');
  EXPECT_FALSE(read_timeline(folder_ + "/noise.b71", &why));
  EXPECT_THAT(why, HasSubstr("no magic"));

  FileHeader header{};
  header.magic = kMagic;
  header.version = kVersion;
  header.header_bytes = kHeaderBytes;
  header.hot_slots = 0xFFFF'FFFF;
  std::ofstream(folder_ + "/sizes.b71")
      .write(reinterpret_cast<const char*>(&header), sizeof header);
  EXPECT_FALSE(read_timeline(folder_ + "/sizes.b71", &why));
  EXPECT_THAT(why, HasSubstr("impossible sizes"));

  ASSERT_EQ(mkfifo((folder_ + "/pipe.b71").c_str(), 0600), 0);
  EXPECT_FALSE(read_timeline(folder_ + "/pipe.b71", &why));
  EXPECT_THAT(why, HasSubstr("not a regular file"));
}

TEST_F(TraceTest, TextsAreSafeForTerminalsAndJson) {
  Writer writer(folder_, worker_);
  writer.record_text(Event::kAudioOpening, Stage::kAudioOpen, "a\x1b[31m\xff\xc3\xa9\xed\xa0\x80z");
  EXPECT_EQ(read_back(writer.path()).hot[0].text, "a?[31m?\xc3\xa9???z");
}

TEST_F(TraceTest, APeekFindsTheNewestRecordAtEveryFillOfTheRing) {
  Writer writer(folder_, worker_);
  Peek peek(writer.path());
  EXPECT_FALSE(peek.newest());
  for (int64_t i = 1; i <= 200; ++i) {
    write_marked(writer, i);
    const std::optional<Entry> newest = peek.newest();
    ASSERT_TRUE(newest) << i;
    ASSERT_EQ(newest->index, i);
  }
  writer.record(Event::kStepDone, Stage::kStep, 42);
  write_marked(writer, 201);
  EXPECT_EQ(peek.newest_of(Event::kStepDone)->arg0, 42);
  EXPECT_FALSE(peek.newest_of(Event::kBeat));
}

TEST_F(TraceTest, APeekReturnsEachIncidentOnce) {
  Writer writer(folder_, worker_);
  Peek peek(writer.path());
  writer.incident(Event::kSymptom, Stage::kAgree, "first");
  writer.incident(Event::kSymptom, Stage::kAgree, "second");
  const std::vector<Entry> both = peek.new_incidents();
  ASSERT_THAT(both, SizeIs(2));
  EXPECT_EQ(both[1].text, "second");
  EXPECT_THAT(peek.new_incidents(), IsEmpty());
  writer.incident(Event::kEnding, Stage::kShutdown, "third");
  ASSERT_THAT(peek.new_incidents(), SizeIs(1));
}

TEST_F(TraceTest, AWriterWithoutAFolderIsSilentAndSaysWhy) {
  Writer writer(folder_ + "/no/such/folder", worker_);
  EXPECT_FALSE(writer.is_open());
  EXPECT_THAT(writer.problem(), HasSubstr("No such file"));
  writer.record(Event::kBeat, Stage::kNone);
  writer.incident(Event::kLost, Stage::kNone, "nowhere");
}

constexpr int kNoMounts = 100;

// A tmpfs of four MB, in a mount namespace of this process.
bool mount_four_mb(const std::string& folder) {
  return unshare(CLONE_NEWNS) == 0 &&
         mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         mount("tmpfs", folder.c_str(), "tmpfs", 0, "size=4m") == 0;
}

// How many writers out of 24 (four ranks with two workers each) are left without a file or without a word.
int writers_in_need(const std::string& folder) {
  if (!mount_four_mb(folder)) return kNoMounts;
  int in_need = 0;
  for (int worker = 0; worker < 24; ++worker) {
    const Writer writer(folder, {Role::kWorker, 1, 4, worker});
    const bool is_told = writer.problem().find("KiB left, for all writers") != std::string::npos;
    if (!writer.is_open() || !is_told) ++in_need;
  }
  return in_need;
}

TEST_F(TraceTest, WhatRoomIsLeftIsSharedOutAndTheLackIsTold) {
  const pid_t child = fork();
  if (child == 0) _exit(writers_in_need(folder_));
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == kNoMounts) GTEST_SKIP() << "needs root, for a mount of its own";
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

// Writers come, and fill what they have, until there is no room for one. 0: that one says why.
int write_until_full(const std::string& folder) {
  if (!mount_four_mb(folder)) return kNoMounts;
  std::vector<std::unique_ptr<Writer>> writers;
  for (int worker = 0; worker < 100; ++worker) {
    writers.push_back(std::make_unique<Writer>(folder, WriterSpec{Role::kWorker, 1, 4, worker}));
    Writer& writer = *writers.back();
    if (!writer.is_open()) {
      return writer.problem().find("No space left") == std::string::npos ? 1 : 0;
    }
    for (int i = 0; i < 10'000; ++i) {
      writer.record_text(Event::kAudioOpening, Stage::kAudioOpen, "/corpus/a b.wav");
      writer.incident(Event::kDummy, Stage::kAudioOpen, "reason=missing file=/corpus/a b.wav");
    }
  }
  return 2;
}

TEST_F(TraceTest, AFullFileSystemKillsNoWriter) {
  const pid_t child = fork();
  if (child == 0) _exit(write_until_full(folder_));
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
  if (WEXITSTATUS(status) == kNoMounts) GTEST_SKIP() << "needs root, for a mount of its own";
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST_F(TraceTest, LatestNamesTheNewestRunAndOthersAreExplained) {
  { Writer writer(folder_, worker_); }
  set_latest(root_, folder_);
  setenv("BATCH71_TRACE_DIR", root_.c_str(), 1);
  EXPECT_EQ(resolve_run_folder("latest"), fs::canonical(folder_).string());
  unsetenv("BATCH71_TRACE_DIR");
  EXPECT_THROW(resolve_run_folder(root_ + "/nothing"), UsageError);
  EXPECT_THROW(resolve_run_folder(folder_ + "/" + file_name(worker_)), UsageError);
  EXPECT_THROW(resolve_run_folder(root_), UsageError);
}

TEST_F(TraceTest, ARootThatAnotherUserMadeWhereAllMayWriteIsRefused) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root, to give a folder to another user";
  constexpr uid_t kAnother = 12'345;
  const std::string theirs = root_ + "/open/theirs";
  fs::create_directories(theirs);
  ASSERT_EQ(chown(theirs.c_str(), kAnother, kAnother), 0);
  create_run_folder(theirs);  // whoever may write here was trusted by its owner
  fs::permissions(root_ + "/open", fs::perms::all | fs::perms::sticky_bit);
  EXPECT_THROW(create_run_folder(theirs), UsageError);
  fs::create_directory_symlink(folder_, root_ + "/open/link");
  ASSERT_EQ(lchown((root_ + "/open/link").c_str(), kAnother, kAnother), 0);
  EXPECT_THROW(create_run_folder(root_ + "/open/link"), UsageError);
}

TEST_F(TraceTest, ARunWithAttemptsIsReadAtItsNewest) {
  const std::string run = root_ + "/named_by_its_user";
  for (const int attempt : {0, 1}) {
    make_run_folder(attempt_folder(run, attempt));
    Writer writer(attempt_folder(run, attempt), worker_);
    EXPECT_TRUE(writer.is_open()) << writer.problem();
  }
  EXPECT_EQ(resolve_run_folder(run), fs::canonical(attempt_folder(run, 1)).string());
  EXPECT_EQ(resolve_run_folder(attempt_folder(run, 0)),
            fs::canonical(attempt_folder(run, 0)).string());
  EXPECT_EQ(fs::status(run).permissions(), fs::perms::owner_all);
}

TEST_F(TraceTest, PruningKeepsTheNewestAndTheLiving) {
  std::vector<std::string> folders;
  for (const char* date : {"20200101", "20200102", "20200103"}) {
    folders.push_back(root_ + "/run-" + date + "-000000-1");
    fs::create_directory(folders.back());
  }
  Writer alive(folders[0], worker_);
  fs::remove_all(folder_);
  prune(root_, {1, uint64_t{1} << 40});
  EXPECT_TRUE(fs::exists(folders[0])) << "its writer lives";
  EXPECT_FALSE(fs::exists(folders[1]));
  EXPECT_TRUE(fs::exists(folders[2])) << "the newest";
}

TEST_F(TraceTest, WhatAnEarlierAttemptOfARankLeftIsSetAside) {
  const WriterSpec main{Role::kMain, 1, 20};
  const WriterSpec other{Role::kMain, 10, 20};
  { Writer former(folder_, main); }
  Writer alive(folder_, worker_);
  Writer of_rank_10(folder_, other);
  EXPECT_THAT(set_aside(folder_, 1), SizeIs(2));  // this process wrote both, and runs
  EXPECT_TRUE(fs::exists(folder_ + "/earlier0/" + file_name(main)));
  EXPECT_TRUE(fs::exists(folder_ + "/earlier0/" + file_name(worker_)));
  EXPECT_FALSE(fs::exists(folder_ + "/" + file_name(main)));
  EXPECT_TRUE(fs::exists(folder_ + "/" + file_name(other)));
  { Writer second(folder_, main); }
  EXPECT_THAT(set_aside(folder_, 1), ElementsAre(HasSubstr("pid " + std::to_string(getpid()))));
  EXPECT_TRUE(fs::exists(folder_ + "/earlier1/" + file_name(main)));
  EXPECT_THAT(set_aside(folder_, 1), IsEmpty());
  EXPECT_THAT(set_aside("", 1), IsEmpty());
}

TEST(ProcessStateTest, ABlockedReaderShowsItsCallAndItsFile) {
  const std::string fifo = fs::temp_directory_path() / ("b71-fifo-" + std::to_string(getpid()));
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  const pid_t child = fork();
  if (child == 0) {
    const int fd = open(fifo.c_str(), O_RDONLY);
    char byte = 0;
    [[maybe_unused]] const ssize_t got = read(fd, &byte, 1);
    _exit(0);
  }
  const int writer = open(fifo.c_str(), O_WRONLY);  // returns when the child has opened it
  ProcessState state;
  const uint64_t deadline_ns = monotonic_ns() + 5'000'000'000;
  do {
    state = process_state(child);
    // The kernel's files are read one after the other: it may fall asleep in between.
  } while ((state.syscall_name != "read" || state.state != 'S') && monotonic_ns() < deadline_ns);
  EXPECT_EQ(state.state, 'S');
  EXPECT_EQ(state.syscall_name, "read");
  EXPECT_EQ(state.file, fifo);
  const std::optional<ProcessState> parsed =
      parse_process_state("who=rank1.worker0 " + to_text(state));
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->file, fifo);
  EXPECT_EQ(parsed->state, 'S');
  close(writer);
  waitpid(child, nullptr, 0);
  unlink(fifo.c_str());
}

TEST(ProcessStateTest, AProcessThatIsGoneHasNoState) {
  EXPECT_EQ(process_state(0x3FFFFFFF).state, 0);
  EXPECT_EQ(parse_process_state(to_text(ProcessState{}))->state, 0);
}

}  // namespace
}  // namespace batch71::trace
