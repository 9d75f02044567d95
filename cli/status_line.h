// The one live line of `batch71 run`: how far the ranks are, read from their traces.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "trace/peek.h"

namespace batch71::cli {

class StatusLine {
 public:
  StatusLine(std::string run_folder, int world_size);

  // What it says before any rank does.
  static constexpr const char* kStarting = "starting";

  // "batch 41  loss 1.523  312 samples/s  slowest: rank 1 in forward" from what the traces say now.
  std::string text();

 private:
  void take_speed(const trace::Entry& step_done);
  // What that rank is at, if that is worth a word: nullopt where it waits for others or is done.
  std::optional<trace::Entry> work_of(size_t rank);

  std::vector<std::unique_ptr<trace::Peek>> mains_;
  std::vector<bool> is_done_;
  uint64_t first_step_ns_ = 0;
  uint64_t newest_step_ns_ = 0;
  int64_t samples_ = 0;  // valid ones, over all ranks, after the first step seen
  int32_t newest_batch_ = -1;
};

}  // namespace batch71::cli
