// Whole epochs of the reference loader over generated clips: log_mel, batches of 8.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "bench/clips.h"
#include "bench/temporary_folder.h"
#include "loader/loader.h"
#include "trace/writer.h"

namespace batch71::bench {

// The job that all contestants have.
loader::Config loader_config(const Clips& clips, int num_workers);

enum class Tracing { kOn, kOff };

class LoaderEpochs {
 public:
  // Zygote and workers are made; the clips outlive it.
  LoaderEpochs(const Clips& clips, int num_workers, Tracing tracing);

  // The next epoch, from start_epoch until the last batch was taken: on the calling thread, which only
  // takes batches and gives each to `take`. Returns how many samples were valid.
  int64_t run(const std::function<void(const loader::Batch&)>& take);
  int32_t epochs_done() const { return epochs_done_; }

 private:
  TemporaryFolder traces_;
  std::unique_ptr<trace::Writer> trace_;
  std::unique_ptr<loader::Loader> loader_;
  int32_t epochs_done_ = 0;
};

}  // namespace batch71::bench
