// The one live line of `batch71 run`.
#include "cli/status_line.h"

#include <fmt/format.h>

#include <bit>

#include "trace/clock.h"
#include "trace/writer.h"

namespace batch71::cli {
namespace {

using trace::Entry;

// A rank that is behind this long is worth naming.
constexpr uint64_t kNotableNs = 1'000'000'000;

}  // namespace

StatusLine::StatusLine(std::string run_folder, int world_size)
    : is_done_(static_cast<size_t>(world_size)) {
  for (int rank = 0; rank < world_size; ++rank) {
    const trace::WriterSpec spec{trace::Role::kMain, rank};
    mains_.push_back(std::make_unique<trace::Peek>(run_folder + "/" + trace::file_name(spec)));
  }
}

void StatusLine::take_speed(const Entry& step_done) {
  if (step_done.monotonic_ns <= newest_step_ns_) return;
  if (first_step_ns_ == 0) {
    first_step_ns_ = step_done.monotonic_ns;
  } else {
    samples_ += step_done.arg1 * std::max(1, step_done.batch - newest_batch_);
  }
  newest_step_ns_ = step_done.monotonic_ns;
  newest_batch_ = step_done.batch;
}

std::optional<Entry> StatusLine::work_of(size_t rank) {
  for (const Entry& incident : mains_[rank]->new_incidents()) {
    if (incident.event == trace::Event::kDone) is_done_[rank] = true;
  }
  if (is_done_[rank]) return std::nullopt;
  std::optional<Entry> newest = mains_[rank]->newest();
  return newest && trace::is_collective(newest->stage) ? std::nullopt : newest;
}

std::string StatusLine::text() {
  std::string line;
  const uint64_t now_ns = trace::monotonic_ns();
  std::optional<Entry> oldest;
  size_t slowest = 0;
  for (size_t rank = 0; rank < mains_.size(); ++rank) {
    const std::optional<Entry> work = work_of(rank);
    if (!work || (oldest && oldest->monotonic_ns <= work->monotonic_ns)) continue;
    oldest = work;
    slowest = rank;
  }
  if (const auto step = mains_[0]->newest_of(trace::Event::kStepDone)) {
    take_speed(*step);
    line = fmt::format("epoch {} batch {}  loss {:.4f}", step->epoch, step->batch,
                       std::bit_cast<double>(step->arg0));
    if (newest_step_ns_ > first_step_ns_) {
      line += fmt::format("  {:.0f} samples/s",
                          static_cast<double>(samples_) * 1e9 /
                              static_cast<double>(newest_step_ns_ - first_step_ns_));
    }
  } else {
    line = kStarting;
  }
  if (oldest && now_ns > oldest->monotonic_ns + kNotableNs) {
    line += fmt::format("  rank {} in {} since {:.0f} s", slowest, trace::name(oldest->stage),
                        static_cast<double>(now_ns - oldest->monotonic_ns) / 1e9);
  }
  return line;
}

}  // namespace batch71::cli
