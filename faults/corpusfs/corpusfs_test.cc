// The corpus server and the watchers, each strike on a real reader in a cell.
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "faults/corpusfs/rules.h"
#include "launch/cell.h"
#include "trace/clock.h"
#include "trace/errors.h"

namespace batch71::faults {
namespace {

namespace fs = std::filesystem;
using launch::CellResult;
using launch::CellSpec;
using testing::HasSubstr;

class CorpusFs : public testing::Test {
 protected:
  CorpusFs() {
    std::string pattern = "/tmp/corpusfs_test.XXXXXX";
    folder_ = mkdtemp(pattern.data());
    fs::create_directories(folder_ + "/corpus/en");
    std::ofstream(folder_ + "/corpus/en/a.wav") << "sound";
    std::ofstream(folder_ + "/corpus/en/b.wav") << "other";
  }
  ~CorpusFs() override { fs::remove_all(folder_); }

  void SetUp() override {
    if (const std::string missing = launch::cell_support().missing_fuse; !missing.empty()) {
      GTEST_SKIP() << "cells with a file server need " << missing;
    }
  }

  // One rank that runs `script` in the corpus folder, which is served by the given rules.
  CellSpec job(const std::string& rules, const std::string& script) const {
    std::ofstream(folder_ + "/rules.json") << rules;
    CellSpec spec = bare_job(script);
    spec.helpers = {helper({"--folder", folder_ + "/corpus", "--rules", folder_ + "/rules.json"})};
    return spec;
  }
  CellSpec bare_job(const std::string& script) const {
    CellSpec spec;
    spec.case_folder = folder_;
    spec.ranks.argv = {"sh", "-c", script};
    spec.ranks.working_folder = folder_;
    spec.ranks.output_folder = folder_;
    spec.ranks.deadline_ms = 500;
    spec.ranks.term_ms = 50;
    spec.ranks.kill_ms = 100;
    return spec;
  }
  launch::HelperSpec helper(std::vector<std::string> arguments) const {
    launch::HelperSpec spec;
    spec.name = "files";
    spec.argv = {launch::sibling_program("corpusfs"), "--strikes", folder_ + "/strikes.jsonl"};
    spec.argv.insert(spec.argv.end(), arguments.begin(), arguments.end());
    return spec;
  }
  std::string output() const {
    std::string text;
    std::ifstream file(folder_ + "/rank0.log");
    std::getline(file, text, '\0');
    return text;
  }
  std::vector<nlohmann::json> strikes() const {
    std::vector<nlohmann::json> out;
    std::ifstream file(folder_ + "/strikes.jsonl");
    for (std::string line; std::getline(file, line);) out.push_back(nlohmann::json::parse(line));
    return out;
  }

  std::string folder_;
};

std::string rule(const std::string& op, const std::string& action) {
  return R"([{"path":"en/a.wav","op":")" + op + R"(","action":")" + action + R"("}])";
}

TEST_F(CorpusFs, ServesTheFolderAsItIs) {
  const CellResult result =
      launch::run_cell(job("[]",
                           "cat corpus/en/a.wav corpus/en/b.wav; ls corpus/en; "
                           "echo x 2>/dev/null > corpus/en/a.wav || echo read-only"));
  EXPECT_EQ(result.error, "");
  EXPECT_EQ(output(), "soundothera.wav\nb.wav\nread-only\n");
  EXPECT_TRUE(result.leftovers.empty()) << to_json(result);
  EXPECT_TRUE(strikes().empty());
}

TEST_F(CorpusFs, LogsEachOperationOnce) {
  for (const std::string op : {"lookup", "open", "read"}) {
    fs::remove(folder_ + "/strikes.jsonl");
    fs::remove(folder_ + "/rank0.log");
    const uint64_t start_ns = trace::monotonic_ns();
    launch::run_cell(job(rule(op, "log"), "cat corpus/en/b.wav corpus/en/a.wav corpus/en/a.wav"));
    EXPECT_EQ(output(), "othersoundsound");
    ASSERT_EQ(strikes().size(), 1u) << op;
    EXPECT_EQ(strikes()[0]["op"], op);
    EXPECT_EQ(strikes()[0]["path"], "en/a.wav");
    EXPECT_GT(strikes()[0]["pid"], 1);
    EXPECT_GT(strikes()[0]["monotonic_ns"], start_ns);
  }
}

TEST_F(CorpusFs, FailsOneAccess) {
  for (const std::string op : {"open", "read"}) {
    fs::remove(folder_ + "/rank0.log");
    launch::run_cell(job(rule(op, "fail"), "cat corpus/en/a.wav; cat corpus/en/a.wav"));
    EXPECT_EQ(output(), "cat: corpus/en/a.wav: Input/output error\nsound") << op;
  }
}

TEST_F(CorpusFs, LetsTheOpensOfEarlierEpochsPass) {
  for (const std::string op : {"lookup", "open", "read"}) {
    fs::remove(folder_ + "/strikes.jsonl");
    const std::string late =
        R"([{"path":"en/a.wav","op":")" + op + R"(","action":"log","strikes":9,"after_opens":2}])";
    launch::run_cell(job(late, "cat corpus/en/a.wav corpus/en/a.wav"));
    EXPECT_TRUE(strikes().empty()) << op;
    launch::run_cell(
        job(late, "cat corpus/en/a.wav corpus/en/b.wav corpus/en/a.wav corpus/en/a.wav"));
    EXPECT_FALSE(strikes().empty()) << op;
  }
}

TEST_F(CorpusFs, BlockedReaderDiesOfItsSignal) {
  const CellResult result =
      launch::run_cell(job(rule("read", "block"), "exec cat corpus/en/a.wav"));
  EXPECT_EQ(result.reason, "deadline");
  EXPECT_EQ(result.ranks[0].signal, SIGTERM);
  EXPECT_EQ(strikes().at(0)["pid"], result.ranks[0].pid);
  EXPECT_TRUE(result.leftovers.empty()) << to_json(result);
}

TEST_F(CorpusFs, DeafReaderIsLeftAndGoesWithItsServer) {
  const CellResult result =
      launch::run_cell(job(rule("read", "block_deaf"), "exec cat corpus/en/a.wav"));
  EXPECT_TRUE(result.ranks[0].deaf);
  EXPECT_FALSE(result.ranks[0].ended);
  EXPECT_TRUE(result.leftovers.empty()) << to_json(result);
}

TEST_F(CorpusFs, OpenAndLookupBlockToo) {
  for (const std::string op : {"open", "lookup"}) {
    const CellResult result = launch::run_cell(job(rule(op, "block"), "exec cat corpus/en/a.wav"));
    EXPECT_EQ(result.reason, "deadline") << op;
    EXPECT_TRUE(result.leftovers.empty()) << to_json(result);
  }
}

TEST_F(CorpusFs, KillsTheReader) {
  const CellResult result =
      launch::run_cell(job(rule("read", "kill_reader"), "exec cat corpus/en/a.wav"));
  EXPECT_EQ(result.ranks[0].signal, SIGKILL);
  EXPECT_FALSE(result.ranks[0].ended_by_us);
}

TEST_F(CorpusFs, DeniesAFileForGoodAndNotesThatOnce) {
  launch::run_cell(job(rule("lookup", "deny"),
                       "cat corpus/en/b.wav; for i in 1 2; do cat corpus/en/a.wav || echo :none; "
                       "done 2>/dev/null"));
  EXPECT_EQ(output(), "other:none\n:none\n");
  EXPECT_EQ(strikes().size(), 1u);
}

TEST_F(CorpusFs, StopsTheReader) {
  launch::Cell cell(job(rule("read", "stop_reader"),
                        "cat corpus/en/a.wav & "
                        "until grep -q '^State:.T' /proc/$!/status; do sleep 0.01; done; "
                        "echo stopped; kill -CONT $!; wait $!"));
  ASSERT_TRUE(cell.wait(10'000));
  EXPECT_EQ(output(), "stopped\nsound");
}

TEST_F(CorpusFs, NotesTheFirstOpenOfAFile) {
  CellSpec spec = bare_job("cat corpus/en/a.wav corpus/en/a.wav");
  spec.helpers = {helper({"--watch-open", folder_ + "/corpus/en/a.wav"})};
  launch::run_cell(spec);
  ASSERT_EQ(strikes().size(), 1u);
  EXPECT_EQ(strikes()[0]["op"], "open");
}

TEST_F(CorpusFs, LeavesLittleRoomAndHandsOverWhatIsInIt) {
  CellSpec spec = bare_job(
      "head -c 100 /dev/zero > traces/small; head -c 3000000 /dev/zero > traces/large || echo "
      "refused; "
      "echo x > /dev/shm/x || echo full");
  fs::create_directory(folder_ + "/traces");
  spec.helpers = {
      helper({"--cramped", folder_ + "/traces", "--room-bytes", "1048576", "--full", "/dev/shm"})};
  const CellResult result = launch::run_cell(spec);
  EXPECT_EQ(result.reason, "all_ended") << result.error;
  EXPECT_THAT(output(), AllOf(HasSubstr("refused"), HasSubstr("full")));
  EXPECT_EQ(fs::file_size(folder_ + "/traces/small"), 100u);
  EXPECT_LE(fs::file_size(folder_ + "/traces/large"), 1'048'576u);
  EXPECT_THAT(result.leftovers.mounts, testing::IsEmpty());
  ASSERT_EQ(strikes().size(), 1u);
  EXPECT_EQ(strikes()[0]["op"], "create");
}

TEST_F(CorpusFs, NotesTheFirstReaderOfAFifoAndStaysSilent) {
  CellSpec spec = bare_job("exec cat pipe");
  ASSERT_EQ(mkfifo((folder_ + "/pipe").c_str(), 0600), 0);
  spec.helpers = {helper({"--fifo", folder_ + "/pipe"})};
  const CellResult result = launch::run_cell(spec);
  EXPECT_EQ(result.reason, "deadline");
  EXPECT_EQ(strikes().size(), 1u);
}

TEST_F(CorpusFs, UnknownActionIsRefused) {
  std::ofstream(folder_ + "/rules.json") << rule("read", "explode");
  EXPECT_THROW(read_rules(folder_ + "/rules.json"), UsageError);
}

}  // namespace
}  // namespace batch71::faults
