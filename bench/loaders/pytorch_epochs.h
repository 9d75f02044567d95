// Whole epochs of PyTorch's DataLoader over generated clips, in a process of its own (subjects/pytorch/epochs.py).
#pragma once

#include <string>
#include <vector>

#include "bench/clips.h"
#include "bench/temporary_folder.h"
#include "launch/fd.h"
#include "launch/process.h"

namespace batch71::bench {

class PytorchEpochs {
 public:
  struct Epoch {
    double seconds = 0;            // from iter(loader) until the last batch was taken
    std::vector<int64_t> indices;  // in the order of the batches
    std::vector<float> features;   // of all batches, where they were asked for
  };

  // The same job as loader_config(clips, num_workers). The clips outlive it.
  PytorchEpochs(const Clips& clips, int num_workers);
  ~PytorchEpochs();  // bounded: lets PyTorch end its workers and remove its files
  PytorchEpochs(const PytorchEpochs&) = delete;
  PytorchEpochs& operator=(const PytorchEpochs&) = delete;

  // The next one; its workers live on. Throws std::runtime_error with what PyTorch said if it fails.
  Epoch run(bool with_features = false);

 private:
  [[noreturn]] void fail(const std::string& why) const;
  std::string answer_to(const std::string& line);

  TemporaryFolder folder_;
  launch::UniqueFd socket_;
  launch::Child child_;
};

}  // namespace batch71::bench
