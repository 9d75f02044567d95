// A cell: what a case lives in, so that nothing of it can stay behind.
//
// The program batch71-cell is pid 1 of new pid, mount, IPC and network namespaces, in a cgroup of its
// own. Inside: a fresh /proc, empty /tmp, /var/tmp and /dev/shm (folders of the spec are seen at their own
// paths), only the loopback network. It starts the helpers, then the ranks; when these have ended, it
// releases the helpers, writes down what is left over, and ends, and with it everything inside.
// It also ends when the process, or thread, that started it does (PR_SET_PDEATHSIG, and a socket that
// hangs up); a Keeper removes then what only names: cgroups and temporary folders.
//
//   Cell cell(spec, &keeper);
//   while (!cell.wait(100)) if (stands_still(spec.ranks.run_folder)) cell.end_now();
//   CellResult result = cell.result();
#pragma once

#include <string>

#include "launch/cell_spec.h"
#include "launch/cgroup.h"
#include "launch/process.h"

namespace batch71::launch {

class Keeper;

// What this machine lacks for cells: skip a case with that reason.
struct CellSupport {
  std::string missing;       // empty: cells can be made; else what is missing, and why it matters
  std::string missing_fuse;  // the same for helpers that serve files
};
CellSupport cell_support();

class Cell {
 public:
  // Writes `case_folder`/cell.json and starts the cell. Throws std::runtime_error with the reason.
  explicit Cell(const CellSpec& spec, Keeper* keeper = nullptr);
  ~Cell();  // bounded: kills it
  Cell(const Cell&) = delete;
  Cell& operator=(const Cell&) = delete;

  // True once it has ended. 0: only looks. `pidfd` becomes readable then.
  bool wait(int deadline_ms);
  int pidfd() const { return init_.pidfd(); }
  int pid() const { return init_.pid(); }
  // Asks it to end the ranks now, as at a deadline; then as usual. Does not wait.
  void end_now();
  // After `wait` gave true. A cell that ended without a result has that as its error.
  CellResult result() const;

 private:
  std::string case_folder_;
  Keeper* keeper_;
  Cgroup cgroup_;
  UniqueFd control_;
  Child init_;
};

// Starts a cell, waits, gives the result. The total bound follows from the spec's deadlines
// (`ranks.deadline_ms` must be set); a cell past it is killed, and its result says so.
CellResult run_cell(const CellSpec& spec, Keeper* keeper = nullptr);

}  // namespace batch71::launch
