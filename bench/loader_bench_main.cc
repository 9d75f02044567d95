// Samples per second of the reference loader, beside a bare loop that decodes and featurizes the same
// files with the same libraries in one thread; and what tracing costs it.
//
// One iteration is one epoch over generated clips (bench/clips.h), log_mel, batches of 8: from
// start_epoch until the last batch was taken, so the pipeline is filled anew in each. The training
// thread only takes batches: with one worker that is one core for the work and one for the rank.
// Zygote and workers are there before the time runs (an epoch goes before). What the loader does and the bare loop does not:
// hand over between processes, checks of the file and of the features, the traces.
#include <sndfile.h>

#include "bench/clips.h"
#include "bench/goals.h"
#include "bench/loaders/loader_epochs.h"
#include "loader/log_mel.h"

namespace batch71::bench {
namespace {

void decode(const std::string& file, std::vector<float>& samples) {
  SF_INFO info{};
  SNDFILE* sound = sf_open(file.c_str(), SFM_READ, &info);
  samples.resize(static_cast<size_t>(info.frames));
  sf_readf_float(sound, samples.data(), info.frames);
  sf_close(sound);
}

void bare_loop(benchmark::State& state, const Clips& clips) {
  loader::LogMel log_mel(loader_config(clips, 0).train_ds);
  const int64_t channels = log_mel.channels();
  loader::Waveform waveform;
  std::vector<float> features;
  for (auto _ : state) {
    for (const std::string& file : clips.files()) {
      decode(file, waveform.samples);
      const int64_t frames = log_mel.frames(static_cast<int64_t>(waveform.samples.size()));
      features.resize(static_cast<size_t>(channels * frames));
      log_mel.process(waveform, {}, {features.data(), channels, frames, frames});
      benchmark::DoNotOptimize(features.data());
    }
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations()) * clips.count());
}

void reference_loader(benchmark::State& state, const Clips& clips, int num_workers,
                      Tracing tracing) {
  LoaderEpochs loader(clips, num_workers, tracing);
  int64_t items = 0;
  const auto run_epoch = [&] { items += loader.run([](const loader::Batch&) {}); };
  run_epoch();  // the first one waits for workers to be forked
  for (auto _ : state) run_epoch();
  if (items != loader.epochs_done() * clips.count()) state.SkipWithError("samples were lost");
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations()) * clips.count());
}

// All benchmarks over clips of one length; returns what is held against what.
std::vector<Ratio> register_all(const std::string& length, const Clips& clips) {
  const auto add = [&](const std::string& name, auto function, auto... args) {
    const std::string full = name + "/" + length;
    benchmark::RegisterBenchmark(
        full.c_str(),
        [&clips, function, args...](benchmark::State& state) { function(state, clips, args...); })
        ->Unit(benchmark::kMillisecond)
        ->UseRealTime();
    return full;
  };
  const std::string bare = add("bare_loop", bare_loop);
  const std::string inline_work = add("loader_no_worker", reference_loader, 0, Tracing::kOn);
  const std::string one = add("loader_1_worker", reference_loader, 1, Tracing::kOn);
  const std::string two = add("loader_2_workers", reference_loader, 2, Tracing::kOn);
  const std::string untraced = add("loader_1_worker_untraced", reference_loader, 1, Tracing::kOff);
  const std::string inline_untraced =
      add("loader_no_worker_untraced", reference_loader, 0, Tracing::kOff);
  constexpr auto kSpeeds = Ratio::Kind::kFastestSpeeds;
  return {{one, bare, kSpeeds, 0.8},
          {two, bare, kSpeeds},
          {inline_work, bare, kSpeeds},
          {one, untraced},
          {inline_work, inline_untraced}};
}

}  // namespace
}  // namespace batch71::bench

int main(int argc, char** argv) {
  using namespace batch71::bench;
  const Clips short_clips(512, 0.25);
  const Clips long_clips(48, 5.0);
  Goals goals{register_all("0.25s", short_clips), {}};
  for (const Ratio& ratio : register_all("5s", long_clips)) goals.ratios.push_back(ratio);
  return run_benchmarks(argc, argv, goals);
}
