// Asks a program of PyTorch's for its help.
#include "bench/pytorch_support.h"

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>

#include "bench/temporary_folder.h"
#include "launch/process.h"

namespace batch71::bench {

bool pytorch_is_there() {
  constexpr int kPatienceMs = 60'000;
  const TemporaryFolder folder(std::filesystem::temp_directory_path().string());
  launch::ProcessSpec look;
  look.argv = {launch::sibling_program("batch71-pytorch-epochs"), "--help"};
  look.output_path = folder.path() + "/said";
  const std::optional<launch::Ending> ending = launch::start_process(look).wait(kPatienceMs);
  if (ending && ending->exit_code() == 0) return true;
  std::ifstream said(look.output_path);
  const std::string why(std::istreambuf_iterator<char>(said), {});
  std::fprintf(stderr, "skipped: PyTorch cannot be run here: %s\n", why.c_str());
  return false;
}

}  // namespace batch71::bench
