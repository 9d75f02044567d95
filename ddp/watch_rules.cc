// What the step watch decides.
#include "ddp/watch_rules.h"

#include <algorithm>

namespace batch71::ddp {

using trace::Stage;

bool is_own_stage(Stage stage) {
  return stage == Stage::kStep || stage == Stage::kForward || stage == Stage::kLoss ||
         stage == Stage::kBackward || stage == Stage::kOptimizer || stage == Stage::kCheckpoint;
}

std::optional<int> deadline_ms(Stage stage, const loader::Guards& guards, bool is_under_way) {
  if (stage == Stage::kSetup) return guards.startup_deadline_ms;
  if (trace::is_collective(stage)) {
    return is_under_way ? guards.collective_deadline_ms
                        : std::max(guards.startup_deadline_ms, guards.collective_deadline_ms);
  }
  // Twice: the loader's own bound comes first, and names what is left.
  if (stage == Stage::kShutdown) return 2 * guards.shutdown_deadline_ms;
  if (is_own_stage(stage)) return guards.step_deadline_ms;
  return std::nullopt;
}

ExitCode code_when_late(Stage stage) {
  if (is_own_stage(stage)) return ExitCode::kStepStuck;
  return stage == Stage::kShutdown ? ExitCode::kFailure : ExitCode::kPeerLost;
}

ExitCode code_after_peer(ExitCode peers_code) {
  switch (peers_code) {
    case ExitCode::kUsage:
    case ExitCode::kErrorBudgetSpent:
    case ExitCode::kRanksDisagree:
    case ExitCode::kNonFiniteLoss:
    case ExitCode::kCrashLoop:
    case ExitCode::kInterrupted: return peers_code;
    default: return ExitCode::kPeerLost;
  }
}

bool holds_up_others(Stage stage, uint64_t age_ms, const loader::Guards& guards) {
  const int patience_ms = std::min(guards.step_deadline_ms, guards.collective_deadline_ms);
  return is_own_stage(stage) && age_ms >= static_cast<uint64_t>(patience_ms);
}

bool all_have_spoken(const std::vector<PeerView>& peers) {
  return std::all_of(peers.begin(), peers.end(), [](const PeerView& peer) {
    if (peer.is_done || peer.has_spoken) return true;
    return peer.is_gone ? peer.end_is_known : peer.has_beaten && !peer.beats;
  });
}

int speaker(int own_rank, const std::vector<PeerView>& peers) {
  int lowest = own_rank;
  for (const PeerView& peer : peers) {
    if (peer.beats && !peer.is_gone && !peer.is_done) lowest = std::min(lowest, peer.rank);
  }
  return lowest;
}

}  // namespace batch71::ddp
