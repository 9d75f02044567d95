// Copies the prompts, writes manifest, config and notice, and puts the folder in place at once.
#include "cli/corpus_speech.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sndfile.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <vector>

#include "cli/corpus_speech_texts.h"
#include "trace/errors.h"

namespace batch71::cli {
namespace {

namespace fs = std::filesystem;

struct Language {
  const char* code;
  const char* folder;  // below the prompts' folder
};
constexpr std::array<Language, 5> kLanguages{{{"en", "en_US_f_Allison"},
                                              {"es", "es_MX_f_Allison"},
                                              {"fr", "fr_CA_f_June"},
                                              {"it", "it_IT_m_Carlo"},
                                              {"ru", "ru_RU_f_IvrvoiceRU"}}};

struct Prompt {
  const Language* language;
  fs::path path;        // below its language's folder
  double position = 0;  // in its language, from 0 to 1

  fs::path copy() const { return language->code / path; }
};

std::string package(const Language& language) {
  return fmt::format("asterisk-core-sounds-{}-wav", language.code);
}

// Prompts of one language in the order of their paths, the same on every file system.
std::vector<Prompt> prompts_of(const Language& language, const fs::path& prompts_folder) {
  const fs::path folder = prompts_folder / language.folder;
  std::vector<Prompt> prompts;
  std::error_code ignored;
  for (const auto& entry : fs::recursive_directory_iterator(folder, ignored)) {
    if (entry.is_regular_file() && entry.path().extension() == ".wav") {
      prompts.push_back({&language, entry.path().lexically_relative(folder)});
    }
  }
  std::sort(prompts.begin(), prompts.end(),
            [](const Prompt& a, const Prompt& b) { return a.path.native() < b.path.native(); });
  for (size_t i = 0; i < prompts.size(); ++i) {
    prompts[i].position = (static_cast<double>(i) + 0.5) / static_cast<double>(prompts.size());
  }
  return prompts;
}

// All prompts, languages alternating in proportion to how many prompts each has.
std::vector<Prompt> all_prompts(const fs::path& prompts_folder) {
  std::vector<Prompt> all;
  std::string missing;
  for (const Language& language : kLanguages) {
    std::vector<Prompt> prompts = prompts_of(language, prompts_folder);
    if (prompts.empty()) missing += " " + package(language);
    std::move(prompts.begin(), prompts.end(), std::back_inserter(all));
  }
  if (!missing.empty()) {
    throw UsageError(fmt::format("{}: no prompts of{}; install them with: apt-get install{}",
                                 prompts_folder.native(), missing, missing));
  }
  std::stable_sort(all.begin(), all.end(),
                   [](const Prompt& a, const Prompt& b) { return a.position < b.position; });
  return all;
}

// Seconds that the header declares; 0 for a file without sound.
double duration_s(const fs::path& file) {
  SF_INFO info{};
  const std::unique_ptr<SNDFILE, decltype(&sf_close)> sound(sf_open(file.c_str(), SFM_READ, &info),
                                                            &sf_close);
  if (sound == nullptr) throw UsageError(file.native() + ": " + sf_strerror(nullptr));
  return static_cast<double>(info.frames) / info.samplerate;
}

// "vm-isonphone.wav" -> "vm isonphone"
std::string words(const fs::path& path) {
  std::string text = path.stem().native();
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c == '-' || c == '_'; }, ' ');
  return text;
}

void write_file(const fs::path& path, const std::string& text) {
  std::ofstream out(path, std::ios::binary);
  out << text;
  if (!out.flush()) throw UsageError(path.native() + ": cannot be written; is the disk full?");
}

// The unfinished folder beside the final one. Held by a lock that ends with the process, so that
// what a killed run left behind is known as such and cleared by the next one.
class Workshop {
 public:
  explicit Workshop(const fs::path& out) : out_(out), path_(out.native() + ".partial") {
    fs::create_directories(path_);
    lock_ = open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (lock_ < 0 || flock(lock_, LOCK_EX | LOCK_NB) != 0) {
      if (lock_ >= 0) close(lock_);
      throw UsageError(path_.native() + ": another process is making this corpus; wait for it");
    }
    for (const auto& leftover : fs::directory_iterator(path_)) fs::remove_all(leftover);
  }
  ~Workshop() {
    std::error_code ignored;
    if (!finished_) fs::remove_all(path_, ignored);
    close(lock_);
  }
  Workshop(const Workshop&) = delete;
  Workshop& operator=(const Workshop&) = delete;

  const fs::path& path() const { return path_; }
  void finish() {
    fs::rename(path_, out_);
    finished_ = true;
  }

 private:
  fs::path out_;
  fs::path path_;
  int lock_ = -1;
  bool finished_ = false;
};

class ProgressLine {
 public:
  explicit ProgressLine(size_t total) : total_(total) {}
  ~ProgressLine() {
    if (shown_) std::fputs("\r\033[K", stderr);
  }
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  void step() {
    ++done_;
    if (!shown_ || done_ % 100 != 0) return;
    fmt::print(stderr, "\rcorpus: {} of {} prompts", done_, total_);
  }

 private:
  const bool shown_ = isatty(STDERR_FILENO) != 0;
  const size_t total_;
  size_t done_ = 0;
};

void add_line(const Prompt& prompt, double duration, std::string& manifest, CorpusReport& report) {
  if (duration <= 0) {
    ++report.without_sound;
    return;
  }
  nlohmann::ordered_json line;
  line["audio_filepath"] = prompt.copy().native();
  line["duration"] = duration;
  line["label"] = prompt.language->code;
  line["text"] = words(prompt.path);
  manifest += line.dump() + "\n";
  ++report.prompts;
  report.hours += duration / 3600;
}

// The path is absolute, since the loader takes a relative one from its working folder. JSON's
// quotes are YAML's too.
std::string train_yaml(const fs::path& manifest) {
  return kTrainYamlHead + nlohmann::json(manifest.native()).dump() + kTrainYamlTail;
}

// Writes into `folder` what will stand in `out`.
CorpusReport fill(const fs::path& folder, const fs::path& out, const fs::path& prompts_folder) {
  const std::vector<Prompt> prompts = all_prompts(prompts_folder);
  CorpusReport report;
  std::string manifest;
  ProgressLine progress(prompts.size());
  for (const Prompt& prompt : prompts) {
    const fs::path copy = folder / prompt.copy();
    fs::create_directories(copy.parent_path());
    fs::copy_file(prompts_folder / prompt.language->folder / prompt.path, copy);
    add_line(prompt, duration_s(copy), manifest, report);
    progress.step();
  }
  write_file(folder / "train.json", manifest);
  write_file(folder / "train.yaml", train_yaml(out / "train.json"));
  write_file(folder / "NOTICE", kNotice);
  return report;
}

// What stands in the folder, which must be a corpus with every file that its manifest names.
CorpusReport inspect(const fs::path& folder) {
  CorpusReport report;
  report.was_there = true;
  std::ifstream manifest(folder / "train.json");
  for (std::string line; std::getline(manifest, line);) {
    const nlohmann::json entry = nlohmann::json::parse(line, nullptr, false);
    const bool is_entry = entry.is_object() && entry.contains("audio_filepath");
    if (!is_entry || !fs::exists(folder / entry.value("audio_filepath", ""))) {
      throw UsageError(
          fmt::format("{}/train.json:{}: names no file that is there; remove the folder",
                      folder.native(), report.prompts + 1));
    }
    ++report.prompts;
    report.hours += entry.value("duration", 0.0) / 3600;
  }
  if (report.prompts == 0 || !fs::exists(folder / "train.yaml")) {
    throw UsageError(folder.native() + ": is there and is no speech corpus; name another folder");
  }
  return report;
}

}  // namespace

CorpusReport make_speech_corpus(const std::string& out_folder, const fs::path& prompts_folder) {
  // Without a trailing slash, so that the unfinished folder stands beside it.
  fs::path out = fs::absolute(out_folder).lexically_normal();
  if (!out.has_filename()) out = out.parent_path();
  if (fs::exists(out) && !fs::is_empty(out)) return inspect(out);
  try {
    Workshop workshop(out);
    const CorpusReport report = fill(workshop.path(), out, prompts_folder);
    workshop.finish();
    return report;
  } catch (const fs::filesystem_error& error) {
    throw UsageError(error.what());
  }
}

std::string to_text(const CorpusReport& report, const std::string& out_folder) {
  std::string text =
      fmt::format("{} prompts, {:.2f} hours, in {}", report.prompts, report.hours, out_folder);
  if (report.was_there) text += " (there already)";
  if (report.without_sound > 0) {
    text += fmt::format(" ({} without sound left out)", report.without_sound);
  }
  return text;
}

}  // namespace batch71::cli
