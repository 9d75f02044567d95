// The speech corpus: what is made of the prompts, and what a half-made or foreign folder leads to.
#include "cli/corpus_speech.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sndfile.h>
#include <sys/file.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <vector>

#include "trace/errors.h"

namespace batch71::cli {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

std::string content(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

std::vector<nlohmann::json> manifest(const fs::path& corpus) {
  std::vector<nlohmann::json> lines;
  std::ifstream in(corpus / "train.json");
  for (std::string line; std::getline(in, line);) lines.push_back(nlohmann::json::parse(line));
  return lines;
}

class SpeechCorpus : public ::testing::Test {
 protected:
  SpeechCorpus() {
    std::string folder = fs::temp_directory_path() / "batch71-corpus-XXXXXX";
    root_ = mkdtemp(folder.data());
    for (const char* name : {"b-second", "a-first", "digits/1"}) {
      write_prompt("en_US_f_Allison", name, 4000);
      write_prompt("es_MX_f_Allison", name, 8000);
    }
    write_prompt("fr_CA_f_June", "vm-isonphone", 2000);
    write_prompt("it_IT_m_Carlo", "ciao", 2000);
    write_prompt("ru_RU_f_IvrvoiceRU", "da", 2000);
  }
  ~SpeechCorpus() override { fs::remove_all(root_); }

  void write_prompt(const std::string& language, const std::string& name, size_t frames) {
    const fs::path path = prompts() / language / (name + ".wav");
    fs::create_directories(path.parent_path());
    SF_INFO info{};
    info.samplerate = 8000;
    info.channels = 1;
    info.format = SF_FORMAT_WAV | SF_FORMAT_PCM_16;
    SNDFILE* file = sf_open(path.c_str(), SFM_WRITE, &info);
    ASSERT_NE(file, nullptr) << path;
    const std::vector<short> samples(frames, 71);
    sf_write_short(file, samples.data(), static_cast<sf_count_t>(frames));
    sf_close(file);
  }

  fs::path prompts() const { return root_ / "prompts"; }
  fs::path out() const { return root_ / "corpus"; }
  fs::path partial() const { return root_ / "corpus.partial"; }
  CorpusReport make() const { return make_speech_corpus(out(), prompts()); }

  fs::path root_;
};

TEST_F(SpeechCorpus, HoldsEveryPromptWithItsDurationLanguageAndWords) {
  EXPECT_EQ(make().prompts, 9);
  std::set<std::string> files;
  for (const nlohmann::json& line : manifest(out())) {
    const std::string file = line["audio_filepath"];
    EXPECT_TRUE(fs::exists(out() / file)) << file;
    EXPECT_EQ(line["label"], file.substr(0, 2));
    EXPECT_EQ(line["duration"], file.starts_with("en") ? 0.5 : file.starts_with("es") ? 1.0 : 0.25);
    if (file == "fr/vm-isonphone.wav") {
      EXPECT_EQ(line["text"], "vm isonphone");
    }
    files.insert(file);
  }
  EXPECT_EQ(files.size(), 9u);
  EXPECT_THAT(content(out() / "train.yaml"),
              HasSubstr("manifest_filepath: \"" + (out() / "train.json").native() + "\""));
  EXPECT_THAT(content(out() / "NOTICE"), HasSubstr("CC-BY-SA-3.0"));
}

TEST_F(SpeechCorpus, LetsLanguagesAlternate) {
  make();
  std::vector<std::string> labels;
  for (const nlohmann::json& line : manifest(out())) labels.push_back(line["label"]);
  EXPECT_THAT(labels, ::testing::ElementsAre("en", "es", "en", "es", "fr", "it", "ru", "en", "es"));
}

TEST_F(SpeechCorpus, LeavesOutAFileWithoutSoundAndCountsIt) {
  write_prompt("ru_RU_f_IvrvoiceRU", "is", 0);
  const CorpusReport report = make();
  EXPECT_EQ(report.prompts, 9);
  EXPECT_EQ(report.without_sound, 1);
  EXPECT_THAT(to_text(report, "corpus"), HasSubstr("1 without sound left out"));
  for (const nlohmann::json& line : manifest(out())) EXPECT_NE(line["audio_filepath"], "ru/is.wav");
}

TEST_F(SpeechCorpus, IsTheSameWhenMadeAgainAndKeptWhereItStands) {
  make();
  const std::string first = content(out() / "train.json");
  EXPECT_TRUE(make().was_there);
  EXPECT_EQ(make().prompts, 9);
  fs::remove_all(out());
  EXPECT_FALSE(make().was_there);
  EXPECT_EQ(content(out() / "train.json"), first);
}

TEST_F(SpeechCorpus, NamesThePackagesThatAreMissing) {
  fs::remove_all(prompts() / "fr_CA_f_June");
  EXPECT_THAT([this] { make(); },
              ThrowsMessage<UsageError>(
                  HasSubstr("install them with: apt-get install asterisk-core-sounds-fr-wav")));
  EXPECT_FALSE(fs::exists(out()));
  EXPECT_FALSE(fs::exists(partial()));
}

TEST_F(SpeechCorpus, RefusesAFolderThatIsNoCorpusAndOneThatLostAFile) {
  make();
  fs::remove(out() / "it/ciao.wav");
  EXPECT_THAT([this] { make(); }, ThrowsMessage<UsageError>(HasSubstr("remove the folder")));
  fs::remove(out() / "train.json");
  EXPECT_THAT([this] { make(); }, ThrowsMessage<UsageError>(HasSubstr("no speech corpus")));
  EXPECT_TRUE(fs::exists(out() / "en/a-first.wav"));
}

TEST_F(SpeechCorpus, ClearsWhatAKilledRunLeftAndWaitsForNoLiveOne) {
  fs::create_directories(partial() / "en");
  std::ofstream(partial() / "en/stale.wav") << "half";
  const int lock = open(partial().c_str(), O_RDONLY | O_DIRECTORY);
  ASSERT_EQ(flock(lock, LOCK_EX | LOCK_NB), 0);
  EXPECT_THAT([this] { make(); }, ThrowsMessage<UsageError>(HasSubstr("another process")));
  close(lock);
  make();
  EXPECT_FALSE(fs::exists(out() / "en/stale.wav"));
  EXPECT_FALSE(fs::exists(partial()));
}

}  // namespace
}  // namespace batch71::cli
