// What a trace record costs, beside its bare limit: one clock read and one 64-byte store into a
// shared mapping; and how many records are lost when the writer is killed in full flight.
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>

#include "bench/goals.h"
#include "bench/temporary_folder.h"
#include "trace/reader.h"
#include "trace/writer.h"

namespace batch71::bench {
namespace {

using trace::Event;
using trace::Stage;

constexpr uint32_t kSlots = 4096;

trace::WriterSpec spec() { return {trace::Role::kWorker, 0, 1, 0, 0, kSlots}; }

void bare_limit(benchmark::State& state) {
  constexpr size_t kBytes = kSlots * sizeof(trace::Record);
  void* memory = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return state.SkipWithError("no memory");
  auto* slots = static_cast<trace::Record*>(memory);
  const trace::ClockKind kind = trace::clock_kind();
  uint64_t n = 0;
  for (auto _ : state) {
    trace::Record& slot = slots[n & (kSlots - 1)];
    slot = {n, trace::ticks(kind), n, 0, 0, 0, 0, 0, 0, 0, 0};
    ++n;
    benchmark::ClobberMemory();
  }
  munmap(memory, kBytes);
}
BENCHMARK(bare_limit);

void trace_record(benchmark::State& state) {
  const TemporaryFolder folder(kTraceParent);
  trace::Writer writer(folder.path(), spec());
  writer.begin({0, 71, 568});
  int64_t n = 0;
  for (auto _ : state) writer.record(Event::kFeaturizing, Stage::kFeaturize, ++n);
}
BENCHMARK(trace_record);

void trace_record_with_path(benchmark::State& state) {
  const TemporaryFolder folder(kTraceParent);
  trace::Writer writer(folder.path(), spec());
  writer.begin({0, 71, 568});
  const std::string path = "/data/speech/en/connected-to-the-conference-of-tomorrow.wav";
  for (auto _ : state) writer.record_text(Event::kAudioOpening, Stage::kAudioOpen, path);
}
BENCHMARK(trace_record_with_path);

// Kills a writer in full flight. What it had written is counted in memory that outlives it; what the
// file holds is read back. The ring is made large enough that nothing is overwritten.
int64_t records_lost_at_kill() {
  const TemporaryFolder folder(kTraceParent);
  auto* written = static_cast<int64_t*>(
      mmap(nullptr, sizeof(int64_t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  constexpr int64_t kEnough = 100'000;
  trace::WriterSpec large = spec();
  large.hot_slots = 1u << 22;
  const pid_t child = fork();
  if (child == 0) {
    trace::Writer writer(folder.path(), large);
    for (int64_t n = 1;; ++n) {
      writer.record(Event::kFeaturizing, Stage::kFeaturize, n);
      __atomic_store_n(written, n, __ATOMIC_RELEASE);
    }
  }
  while (__atomic_load_n(written, __ATOMIC_ACQUIRE) < kEnough) benchmark::ClobberMemory();
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  const int64_t count = *written;
  munmap(written, sizeof(int64_t));
  const trace::RunTrace run = trace::read_run(folder.path());
  if (run.timelines.empty() || run.timelines[0].hot.empty()) return count;
  const int64_t kept = run.timelines[0].hot.back().arg0;
  return count - kept + static_cast<int64_t>(run.timelines[0].hot_lost);
}

void lost_at_kill(benchmark::State& state) {
  int64_t lost = 0;
  for (auto _ : state) lost += std::max<int64_t>(records_lost_at_kill(), 0);
  state.counters["records_lost"] = static_cast<double>(lost);
}
BENCHMARK(lost_at_kill)->Iterations(3)->Repetitions(1)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace batch71::bench

int main(int argc, char** argv) {
  using namespace batch71::bench;
  return run_benchmarks(argc, argv,
                        {{{"trace_record", "bare_limit", Ratio::Kind::kFastestTimes, 1.25},
                          {"trace_record_with_path", "bare_limit"}},
                         {{"lost_at_kill", "records_lost", 0}}});
}
