// store_host_stopped: the rank that hosts the store is stopped before the others have met there.
#include <string>

#include "faults/fault.h"

namespace batch71::faults {
namespace {

// Ranks other than 0 start when it listens at MASTER_PORT; the first of them stops it, so that all find
// a host that accepts and never answers. (/proc/net/tcp: the local port, no peer, state 0A, LISTEN.)
constexpr const char* kScript = R"sh(
host=$(dirname "$STRUCK")/host
if [ "$RANK" = 0 ]; then
  echo $$ > "$host"
  exec "$@"
fi
listens=$(printf ':%04X [0-9A-F]*:0000 0A ' "$MASTER_PORT")
until grep -q "$listens" /proc/net/tcp /proc/net/tcp6; do sleep 0.02; done
host=$(cat "$host")
if [ "$RANK" = 1 ]; then
  : < "$STRUCK"
  kill -STOP $host
fi
until grep -q '^State:.T' /proc/$host/status; do sleep 0.02; done
exec "$@"
)sh";

}  // namespace

Fault store_host_stopped() {
  return {
      .name = "store_host_stopped",
      .family = Family::kRank,
      .target = Target::kStart,
      .says = "The rank that hosts the store is stopped before all have met.",
      .seam = "a signal",
      .how =
          "Rank 0 gets SIGSTOP as soon as it listens; the others' programs are run only then, and "
          "need its store.",
      .unguarded = "All others wait for the store in the rendezvous.",
      .control = ControlEffect::kHangs,
      .guard = "startup_deadline_ms",
      .verdict = "rank_stopped",
      .stages = {"setup"},
      .loses = Loss::kJobEnds,
      .bound = Deadline::kStartup,
      .strikes_host = true,
      .needs = {.peers = true},
      .inject = [](const Site& site) { return start_by_script(site, kScript); },
  };
}

}  // namespace batch71::faults
