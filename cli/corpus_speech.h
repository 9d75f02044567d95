// A corpus of real speech to train on: Debian's telephone prompts in five languages.
//
// Source: packages asterisk-core-sounds-{en,es,fr,it,ru}-wav, 2,831 recorded prompts, 8 kHz mono
// WAV. Result: a folder with
//
//   <lang>/**.wav  the prompts: copies, since a test that breaks one must not break the system's own
//   train.json     NeMo manifest, one JSON object a line: audio_filepath (relative to the manifest),
//                  duration (seconds, from the WAV header), label (language code), text (words of
//                  the file's name). Languages alternate, so that a run without shuffling sees all.
//   train.yaml     a config for `batch71 run`: 4 ranks of batch size 8 have 88 full batches
//   NOTICE         authors and licences of the recordings
//
// The folder appears whole or not at all. Made twice in one place, it is the same to the byte;
// moved, its train.yaml must be told so. Errors (UsageError): a package is missing; `out_folder` is
// there and is no complete corpus; another process is just making it; the disk is full.
#pragma once

#include <filesystem>
#include <string>

namespace batch71::cli {

struct CorpusReport {
  bool was_there = false;  // a complete corpus stood in the folder and was left as it is
  int prompts = 0;         // lines of the manifest
  int without_sound = 0;   // files that hold no audio: copied, and left out of the manifest
  double hours = 0;
};

// Where Debian's packages put the prompts.
inline constexpr const char* kPromptsFolder = "/usr/share/asterisk/sounds";

// Progress goes to stderr where that is a terminal.
CorpusReport make_speech_corpus(const std::string& out_folder,
                                const std::filesystem::path& prompts_folder = kPromptsFolder);

// "2,830 prompts, 2.18 hours, in corpus (1 file without sound left out)"
std::string to_text(const CorpusReport& report, const std::string& out_folder);

}  // namespace batch71::cli
