// How fast a loader finds an item that is stuck, and goes on after a worker that was killed.
//
// A real Loader with one worker process, on generated clips of 0.25 s with log_mel. What is struck says
// when by CLOCK_MONOTONIC, in memory shared with this process; what the loader did, and when, is read
// from its traces after the epoch. Each iteration is one strike in an epoch of its own; the time is the
// mean, the counters are the worst of them.
//   stuck_item     the featurizer never returns from one sample. Time: from its last stamp to the
//                  observation that the watch writes before it kills. late_ms: what of that is beyond
//                  item_deadline_ms.
//   killed_worker  the worker gets SIGKILL in the middle of an epoch. Time, and next_item_ms: from then
//                  until its replacement has done an item. respawn_ms: until the watch knows it.
#include <ATen/core/TensorBody.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <boost/interprocess/anonymous_shared_memory.hpp>
#include <new>

#include "bench/clips.h"
#include "bench/goals.h"
#include "bench/trace_stamps.h"
#include "loader/loader.h"
#include "loader/log_mel.h"
#include "loader/registry.h"
#include "trace/clock.h"

namespace batch71::bench {
namespace {

constexpr int kDeadlineMs = 500;  // far above what an item takes, on a busy machine too
const trace::WriterSpec kWatch{trace::Role::kLoaderWatch, 0, 1};

// Between this process and its workers.
struct Orders {
  std::atomic<int64_t> stick_at{-1};  // index of the sample that is not to end
  std::atomic<uint64_t> stuck_ns{0};  // when it stuck
  std::atomic<pid_t> worker{0};       // that works
};

class StickingLogMel : public loader::Featurizer {
 public:
  StickingLogMel(const loader::TrainDs& config, Orders& orders)
      : log_mel_(config), orders_(orders) {}
  int64_t channels() const override { return log_mel_.channels(); }
  int64_t frames(int64_t num_samples) const override { return log_mel_.frames(num_samples); }
  void process(const loader::Waveform& waveform, const loader::ItemId& id,
               const loader::FeatureView& out) override {
    orders_.worker = getpid();
    if (orders_.stick_at == id.index) {
      orders_.stuck_ns = trace::monotonic_ns();
      while (true) pause();
    }
    log_mel_.process(waveform, id, out);
  }

 private:
  loader::LogMel log_mel_;
  Orders& orders_;
};

loader::Config config(const Clips& clips, int item_deadline_ms) {
  loader::Config config;
  config.train_ds.manifest_filepath = clips.manifest();
  config.train_ds.num_workers = 1;
  config.train_ds.sample_rate = kSampleRateHz;
  config.guards.item_deadline_ms = item_deadline_ms;
  config.guards.max_respawns = 1'000'000;
  return config;
}

// A loader, what strikes it, and what its traces tell.
class Struck {
 public:
  Struck(const Clips& clips, int item_deadline_ms)
      : folder_(kTraceParent),
        memory_(boost::interprocess::anonymous_shared_memory(sizeof(Orders))),
        orders_(*new (memory_.get_address()) Orders),
        trace_(folder_.path(), {trace::Role::kMain, 0, 1}),
        loader_(spec(clips, item_deadline_ms), trace_) {}

  Orders& orders() { return orders_; }
  const std::string& traces() const { return folder_.path(); }
  loader::Loader& loader() { return loader_; }

  // Takes what is left of the epoch; how many of it are dummies.
  int64_t finish_epoch() {
    int64_t dummies = 0;
    while (const std::optional<loader::Batch> batch = loader_.next())
      dummies += static_cast<int64_t>(batch->dummies.size());
    return dummies;
  }

 private:
  loader::LoaderSpec spec(const Clips& clips, int item_deadline_ms) {
    loader::LoaderSpec spec;
    spec.config = config(clips, item_deadline_ms);
    spec.run_folder = folder_.path();
    spec.dataset = loader::manifest_dataset_factory(spec.config, 0);
    spec.featurizer = [this, train_ds = spec.config.train_ds] {
      return std::make_unique<StickingLogMel>(train_ds, orders_);
    };
    return spec;
  }

  TemporaryFolder folder_;
  boost::interprocess::mapped_region memory_;
  Orders& orders_;
  trace::Writer trace_;
  loader::Loader loader_;
};

double ms_between(uint64_t from_ns, uint64_t to_ns) {
  return static_cast<double>(to_ns - from_ns) / 1e6;
}

void stuck_item(benchmark::State& state, const Clips& clips) {
  Struck struck(clips, kDeadlineMs);
  int32_t epoch = 0;
  double late_ms = -kDeadlineMs;
  for (auto _ : state) {
    loader::EpochPlan plan = struck.loader().plan(epoch++);
    struck.orders().stuck_ns = 0;
    struck.orders().stick_at = plan.batches[plan.batches.size() / 2].indices[0];
    struck.loader().start_epoch(std::move(plan));
    const int64_t dummies = struck.finish_epoch();
    const uint64_t stuck_ns = struck.orders().stuck_ns;
    const uint64_t seen_ns =
        first_since(struck.traces(), kWatch, trace::Event::kObservation, stuck_ns);
    if (stuck_ns == 0 || seen_ns == 0 || dummies != 1) {
      return state.SkipWithError("not struck, not seen, or more lost than was struck");
    }
    state.SetIterationTime(ms_between(stuck_ns, seen_ns) / 1e3);
    late_ms = std::max(late_ms, ms_between(stuck_ns, seen_ns) - kDeadlineMs);
  }
  state.counters["late_ms"] = late_ms;
}

void killed_worker(benchmark::State& state, const Clips& clips) {
  Struck struck(clips, loader::Guards().item_deadline_ms);
  int32_t epoch = 0;
  double respawn_ms = 0;
  double next_item_ms = 0;
  for (auto _ : state) {
    struck.loader().start_epoch(struck.loader().plan(epoch++));
    struck.loader().next();
    const uint64_t killed_ns = trace::monotonic_ns();
    kill(struck.orders().worker, SIGKILL);
    const int64_t dummies = struck.finish_epoch();
    const trace::WriterSpec replacement{trace::Role::kWorker, 0, 1, 0, epoch};
    const uint64_t known_ns =
        first_since(struck.traces(), kWatch, trace::Event::kWorkerSpawned, killed_ns);
    const uint64_t done_ns =
        first_since(struck.traces(), replacement, trace::Event::kItemDone, killed_ns);
    if (known_ns == 0 || done_ns == 0 || dummies > 1) {
      return state.SkipWithError("not replaced, or more lost than was struck");
    }
    state.SetIterationTime(ms_between(killed_ns, done_ns) / 1e3);
    respawn_ms = std::max(respawn_ms, ms_between(killed_ns, known_ns));
    next_item_ms = std::max(next_item_ms, ms_between(killed_ns, done_ns));
  }
  state.counters["respawn_ms"] = respawn_ms;
  state.counters["next_item_ms"] = next_item_ms;
}

}  // namespace
}  // namespace batch71::bench

int main(int argc, char** argv) {
  using namespace batch71::bench;
  const Clips clips(256, 0.25);
  const auto add = [&clips](const char* name, auto function, int strikes) {
    benchmark::RegisterBenchmark(
        name, [&clips, function](benchmark::State& state) { function(state, clips); })
        ->Unit(benchmark::kMillisecond)
        ->UseManualTime()
        ->Iterations(strikes);
  };
  add("stuck_item", stuck_item, 3);
  add("killed_worker", killed_worker, 10);
  return run_benchmarks(argc, argv,
                        {{}, {{"stuck_item", "late_ms", 50}, {"killed_worker", "next_item_ms"}}});
}
