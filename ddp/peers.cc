// The other ranks as their traces show them.
#include "ddp/peers.h"

#include <fmt/format.h>

#include "trace/clock.h"
#include "trace/reader.h"

namespace batch71::ddp {
namespace {

using trace::Entry;
using trace::Event;

// What a peer only passes on stays as it was first said.
std::string passed_on(int rank, const std::string& text) {
  return text.starts_with("rank ") ? text : fmt::format("rank {} reports: {}", rank, text);
}

// Beats come every 20 ms; so long without one means that the rank is stopped or gone.
constexpr uint64_t kSilentNs = 500'000'000;

// Ranks of one job begin no further apart.
constexpr uint64_t kStartsApartNs = 10'000'000'000;

std::string path_of(const std::string& folder, trace::Role role, int rank) {
  return folder + "/" + trace::file_name({role, rank});
}

bool lives(trace::Peek& main) { return main.refresh() && trace::writer_is_alive(*main.writer()); }

}  // namespace

Peers::Peers(const std::string& run_folder, int own_rank, int world_size)
    : began_ns_(trace::monotonic_ns()) {
  if (run_folder.empty()) return;
  launch_ = std::make_unique<trace::Peek>(path_of(run_folder, trace::Role::kLaunch, -1));
  for (int rank = 0; rank < world_size; ++rank) {
    if (rank == own_rank) continue;
    Peer peer;
    peer.view.rank = rank;
    peer.main_path = path_of(run_folder, trace::Role::kMain, rank);
    peer.watch_path = path_of(run_folder, trace::Role::kStepWatch, rank);
    peer.main = std::make_unique<trace::Peek>(peer.main_path);
    peer.watch = std::make_unique<trace::Peek>(peer.watch_path);
    peers_.push_back(std::move(peer));
  }
}

void Peers::look() {
  if (peers_.empty()) return;
  look_at_launch();
  for (Peer& peer : peers_) look_at(peer);
}

std::vector<PeerView> Peers::views() const {
  std::vector<PeerView> out;
  for (const Peer& peer : peers_) out.push_back(peer.view);
  return out;
}

// How the dead died is written down by launch, if it is there.
void Peers::look_at_launch() {
  const bool is_launched = launch_->refresh();
  for (Peer& peer : peers_) peer.view.end_is_known = peer.view.end_is_known || !is_launched;
  for (const Entry& entry : launch_->new_incidents()) {
    if (entry.event != Event::kRankEnded) continue;
    for (Peer& peer : peers_) {
      if (peer.view.rank == entry.arg1) peer.view.end_is_known = true;
    }
  }
}

// The file that is open may be an earlier attempt's, which the rank has set aside meanwhile.
bool Peers::is_alive(Peer& peer) {
  if (lives(*peer.main)) return true;
  auto main = std::make_unique<trace::Peek>(peer.main_path);
  if (!lives(*main)) return false;
  peer.main = std::move(main);
  peer.watch = std::make_unique<trace::Peek>(peer.watch_path);
  return true;
}

void Peers::look_at(Peer& peer) {
  const bool is_alive = Peers::is_alive(peer);
  peer.was_alive = peer.was_alive || is_alive;
  if (!peer.was_alive) return;
  // After the process was looked at: what it said before it went is heard first.
  listen_to(peer);
  const std::optional<Entry> newest = peer.watch->newest();
  peer.view.is_gone = !is_alive;
  peer.view.beats = is_alive && newest && newest->monotonic_ns + kSilentNs > trace::monotonic_ns();
  peer.view.has_beaten = peer.view.has_beaten || peer.view.beats;
  if (peer.view.is_gone && !peer.view.is_done && !trouble_) {
    trouble_ = {ExitCode::kPeerLost, fmt::format("rank {} is gone", peer.view.rank)};
  }
}

void Peers::listen_to(Peer& peer) {
  for (const Entry& entry : peer.main->new_incidents()) hear(peer, entry);
  for (const Entry& entry : peer.watch->new_incidents()) hear(peer, entry);
}

void Peers::hear(Peer& peer, const Entry& entry) {
  peer.view.is_done = peer.view.is_done || entry.event == Event::kDone;
  if (entry.event == Event::kVerdict && !verdict_) verdict_ = entry.text;
  if (entry.event != Event::kSymptom && entry.event != Event::kEnding) return;
  peer.view.has_spoken = true;
  if (trouble_) return;
  trouble_ = {code_after_peer(static_cast<ExitCode>(entry.arg0)),
              passed_on(peer.view.rank, entry.text)};
}

std::vector<Peers::Suspect> Peers::suspects() {
  std::vector<Suspect> out;
  for (Peer& peer : peers_) {
    const std::optional<Entry> newest = peer.main->newest();
    if (!newest || peer.view.is_done || peer.view.has_spoken) continue;
    // Whom nobody saw alive may be of an earlier job, unless it fell in its start while this rank began.
    const bool fell_at_start =
        newest->stage == trace::Stage::kSetup && newest->monotonic_ns + kStartsApartNs > began_ns_;
    if (!peer.was_alive && !fell_at_start) continue;
    out.push_back({peer.view.rank,
                   peer.main->writer()->pid,
                   newest->stage,
                   {newest->epoch, newest->batch, newest->index}});
  }
  return out;
}

}  // namespace batch71::ddp
