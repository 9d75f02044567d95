// Samples per second of the reference loader beside PyTorch's DataLoader, with 0, 1 and 2 workers.
//
// Both run the same epochs over the same generated clips (bench/clips.h): 16-bit WAV through libsndfile,
// log_mel, batches of 8 in DistributedSampler's order. One iteration is one epoch: from start_epoch, or
// iter(loader), until the last batch was taken, by a thread that only takes batches; workers live on, and
// an epoch goes before. One thread a process on either side. PyTorch runs in processes of its own
// (subjects/pytorch/epochs.py) that say themselves how long an epoch took; all that is not measured sleeps.
// That they do the same is checked: the first epoch's features within 1e-4 of each other (see kClose), all
// epochs' indices equal and in the same order. If not, the benchmark fails.
#include <cmath>
#include <cstdio>
#include <exception>
#include <limits>
#include <memory>

#include "bench/clips.h"
#include "bench/goals.h"
#include "bench/loaders/loader_epochs.h"
#include "bench/loaders/pytorch_epochs.h"
#include "bench/pytorch_support.h"
#include "loader/plan.h"

namespace batch71::bench {
namespace {

// Two FFTs in float32 round differently. In a band that is near silent beside a loud tone, the logarithm
// makes more of that than in all others; so few may be further apart.
constexpr double kClose = 1e-4;
constexpr double kMostDifference = 1e-3;
constexpr size_t kFewest = 1'000;

// Clips of one length, and the features of all batches of epoch 0, as the reference gives them.
struct Course {
  Course(const std::string& clip_length, int64_t count, double duration_s)
      : length(clip_length), clips(count, duration_s) {
    LoaderEpochs(clips, 0, Tracing::kOff).run([this](const loader::Batch& batch) {
      const at::Tensor packed = batch.features.contiguous();
      const float* data = packed.data_ptr<float>();
      features.insert(features.end(), data, data + packed.numel());
    });
  }
  std::vector<int64_t> indices_of(int32_t epoch) const {
    return loader::sampler_indices({.dataset_size = clips.count()}, epoch);
  }

  std::string length;
  Clips clips;
  std::vector<float> features;
};

// How far features are from the reference's.
struct Difference {
  double most = std::numeric_limits<double>::infinity();
  size_t beyond = 0;  // values that differ by more than kClose
  bool is_too_much(size_t values) const {
    return !(most <= kMostDifference) || beyond > values / kFewest;
  }
};

Difference difference(const std::vector<float>& some, const std::vector<float>& others) {
  Difference found;
  if (some.size() != others.size()) return found;
  found.most = 0;
  for (size_t i = 0; i < some.size(); ++i) {
    const double by = std::abs(static_cast<double>(some[i]) - others[i]);
    if (!(by <= kClose)) ++found.beyond;
    if (!(by <= found.most)) found.most = by;  // also what is not a number
  }
  return found;
}

// PyTorch on one course; made when it is first needed, since its start takes seconds.
class Pytorch {
 public:
  Pytorch(const Course& course, int num_workers) : course_(course), num_workers_(num_workers) {}

  // Seconds of its next epoch, which was the reference's; throws std::runtime_error where it was another.
  double run_epoch() {
    if (epochs_ == nullptr) start();
    const PytorchEpochs::Epoch epoch = epochs_->run();
    expect_indices(epoch);
    return epoch.seconds;
  }

 private:
  void start() {
    epochs_ = std::make_unique<PytorchEpochs>(course_.clips, num_workers_);
    const PytorchEpochs::Epoch first = epochs_->run(true);
    expect_indices(first);
    const size_t values = course_.features.size();
    const Difference found = difference(first.features, course_.features);
    std::printf(
        "same batches: PyTorch, %d workers, clips of %s: %zu samples in the same order; of %zu "
        "values of "
        "features %zu are further apart than %g, none than %.1e\n",
        num_workers_, course_.length.c_str(), first.indices.size(), values, found.beyond, kClose,
        found.most);
    if (found.is_too_much(values)) throw std::runtime_error("features differ");
  }

  void expect_indices(const PytorchEpochs::Epoch& epoch) {
    if (epoch.indices == course_.indices_of(epochs_done_++)) return;
    throw std::runtime_error("PyTorch's order of samples is another");
  }

  const Course& course_;
  int num_workers_;
  std::unique_ptr<PytorchEpochs> epochs_;
  int32_t epochs_done_ = 0;
};

void run_pytorch(benchmark::State& state, Pytorch& pytorch, int64_t samples) {
  try {
    for (auto _ : state) state.SetIterationTime(pytorch.run_epoch());
  } catch (const std::exception& error) {
    return state.SkipWithError(error.what());
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations()) * samples);
}

void run_reference(benchmark::State& state, const Course& course, int num_workers) {
  LoaderEpochs loader(course.clips, num_workers, Tracing::kOn);
  std::vector<int64_t> indices;
  const auto run_epoch = [&] {
    indices.clear();
    loader.run([&](const loader::Batch& batch) {
      indices.insert(indices.end(), batch.indices.begin(), batch.indices.end());
    });
  };
  run_epoch();  // the first one waits for workers to be forked
  for (auto _ : state) run_epoch();
  if (indices != course.indices_of(loader.epochs_done() - 1)) {
    return state.SkipWithError("the reference's order of samples is another");
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations()) * course.clips.count());
}

std::string contestant(const char* who, int num_workers, const Course& course) {
  const std::string workers = num_workers == 0   ? "no_worker"
                              : num_workers == 1 ? "1_worker"
                                                 : std::to_string(num_workers) + "_workers";
  return std::string(who) + "_" + workers + "/" + course.length;
}

// All benchmarks of a course; what is held against what is added to `goals`.
void register_all(const Course& course, std::vector<std::unique_ptr<Pytorch>>& pytorches,
                  Goals& goals) {
  for (const int num_workers : {0, 1, 2}) {
    const std::string ours = contestant("reference", num_workers, course);
    const std::string theirs = contestant("pytorch", num_workers, course);
    benchmark::RegisterBenchmark(ours.c_str(),
                                 [&course, num_workers](benchmark::State& state) {
                                   run_reference(state, course, num_workers);
                                 })
        ->Unit(benchmark::kMillisecond)
        ->UseRealTime();
    pytorches.push_back(std::make_unique<Pytorch>(course, num_workers));
    benchmark::RegisterBenchmark(
        theirs.c_str(),
        [&course, pytorch = pytorches.back().get()](benchmark::State& state) {
          run_pytorch(state, *pytorch, course.clips.count());
        })
        ->Unit(benchmark::kMillisecond)
        ->UseManualTime();
    goals.ratios.push_back({ours, theirs, Ratio::Kind::kFastestSpeeds});
  }
}

}  // namespace
}  // namespace batch71::bench

int main(int argc, char** argv) {
  using namespace batch71::bench;
  if (!pytorch_is_there()) return kSkipped;
  const Course short_clips("0.25s", 512, 0.25);
  const Course long_clips("5s", 48, 5.0);
  std::vector<std::unique_ptr<Pytorch>> pytorches;
  Goals goals;
  register_all(short_clips, pytorches, goals);
  register_all(long_clips, pytorches, goals);
  return run_benchmarks(argc, argv, goals);
}
