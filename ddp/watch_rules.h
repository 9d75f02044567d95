// What the step watch decides, as pure functions: who is late, who speaks, with which code one leaves.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "loader/config.h"
#include "trace/event.h"
#include "trace/exit_code.h"

namespace batch71::ddp {

// True for the stages in which nobody but the rank itself can hold it up.
bool is_own_stage(trace::Stage stage);
// How long main may stay in a stage; nullopt: not the step watch's to judge (a fetch is the loader's).
// Until the job is under way, which begins with every rank's first batch, collectives wait for starts.
std::optional<int> deadline_ms(trace::Stage stage, const loader::Guards& guards, bool is_under_way);
// The code of a rank whose main is past the deadline of that stage.
ExitCode code_when_late(trace::Stage stage);
// The code of a rank that learns how a peer ends: what all ranks agreed on ends all alike, anything
// else is the loss of that peer.
ExitCode code_after_peer(ExitCode peers_code);
// True for a main that is itself what the others wait for: longer in a stage of its own than they
// would wait in a collective.
bool holds_up_others(trace::Stage stage, uint64_t age_ms, const loader::Guards& guards);

// How a peer looks from here.
struct PeerView {
  int rank = -1;
  bool beats = false;         // its watch is alive
  bool has_beaten = false;    // it was, now or before: else its traces may only be late
  bool has_spoken = false;    // it said that it has a symptom, or that it ends
  bool is_done = false;       // it said that the job is done
  bool is_gone = false;       // its process was there, and is not any more
  bool end_is_known = false;  // launch wrote down how it ended, or nobody writes that down here
};
// True once the grace has nothing to bring: everybody who can speak has, and how the dead died is known.
bool all_have_spoken(const std::vector<PeerView>& peers);
// The lowest rank whose watch beats: it says the verdict.
int speaker(int own_rank, const std::vector<PeerView>& peers);

}  // namespace batch71::ddp
