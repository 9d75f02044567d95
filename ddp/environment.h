// The env:// variables of a rank, checked, as torchrun, mpirun or `batch71 run` set them.
#pragma once

#include <string>

namespace batch71::ddp {

struct Environment {
  int rank = 0;
  int world_size = 1;
  std::string master_addr;
  int master_port = 0;
  bool agent_hosts_store = false;  // torchrun hosts the store itself
  int restart_count = 0;           // part of every key: attempts do not meet
  std::string run_folder;          // "" : tracing off; each attempt of torchrun has its own
  std::string ledger_path;         // "" : no ledger
};

// UsageError where a variable is missing or cannot be.
Environment read_environment();

}  // namespace batch71::ddp
