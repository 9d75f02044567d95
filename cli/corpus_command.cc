// `batch71 corpus`: makes the corpora that runs and gates stand on.
#include <fmt/format.h>

#include <memory>

#include "cli/commands.h"
#include "cli/corpus_speech.h"

namespace batch71::cli {

void add_corpus(CLI::App& app, int& exit_code) {
  CLI::App* corpus = app.add_subcommand("corpus", "Make a corpus to train on");
  corpus->require_subcommand(1);
  CLI::App* speech = corpus->add_subcommand(
      "speech",
      "2,831 recorded prompts in five languages, with a NeMo manifest (label = language)");
  auto out = std::make_shared<std::string>();
  speech->add_option("--out", *out, "folder to make; one that is there is kept if it is complete")
      ->required();
  speech->callback([out, &exit_code] {
    fmt::print("{}\n", to_text(make_speech_corpus(*out), *out));
    exit_code = 0;
  });
}

}  // namespace batch71::cli
