// The other ranks as their traces show them: the side channel that is not Gloo.
//
// Ranks on one machine share the run folder. A look is a few preads a peer; nothing in it waits.
// Use from one thread. Across machines the same view will come over a socket of its own.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ddp/watch_rules.h"
#include "trace/exit_code.h"
#include "trace/peek.h"
#include "trace/writer.h"

namespace batch71::ddp {

class Peers {
 public:
  // An empty folder: nobody is seen.
  Peers(const std::string& run_folder, int own_rank, int world_size);

  void look();
  std::vector<PeerView> views() const;

  // The first trouble that a peer has: what it said, else that it is gone.
  struct Trouble {
    ExitCode code{};  // that this rank ends with for it
    std::string why;
  };
  const std::optional<Trouble>& trouble() const { return trouble_; }

  // The verdict that a peer published, "" for none yet.
  const std::optional<std::string>& verdict() const { return verdict_; }

  // Those who have said nothing yet, and where their main was last seen: whom to look at.
  struct Suspect {
    int rank = -1;
    int pid = 0;
    trace::Stage stage{};
    trace::Place place;
  };
  std::vector<Suspect> suspects();

 private:
  struct Peer {
    PeerView view;
    bool was_alive = false;  // only who was seen alive can be gone: files may be older than the job
    std::string main_path;
    std::string watch_path;
    std::unique_ptr<trace::Peek> main;
    std::unique_ptr<trace::Peek> watch;
  };
  void look_at(Peer& peer);
  static bool is_alive(Peer& peer);
  void listen_to(Peer& peer);
  void hear(Peer& peer, const trace::Entry& entry);
  void look_at_launch();

  uint64_t began_ns_;
  std::vector<Peer> peers_;
  std::unique_ptr<trace::Peek> launch_;
  std::optional<Trouble> trouble_;
  std::optional<std::string> verdict_;
};

}  // namespace batch71::ddp
