// Starts cells and gathers what came of them.
#include "launch/cell.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "launch/keeper.h"

namespace batch71::launch {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kNamespaces = CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWNET;

std::string result_path(const std::string& case_folder) { return case_folder + "/result.json"; }
std::string log_path(const std::string& case_folder) { return case_folder + "/cell.log"; }

std::string last_line(const std::string& path) {
  std::ifstream file(path);
  std::string last;
  for (std::string line; std::getline(file, line);) last = line;
  return last;
}

// More than a cell takes by its own deadlines.
int total_bound_ms(const CellSpec& spec) {
  constexpr int kMarginMs = 10'000;
  const RanksSpec& ranks = spec.ranks;
  int bound_ms = ranks.deadline_ms + ranks.end_grace_ms + ranks.term_ms + ranks.kill_ms +
                 spec.leftover_grace_ms + kMarginMs;
  for (const HelperSpec& helper : spec.helpers) {
    bound_ms += helper.ready_deadline_ms + helper.stop_grace_ms;
  }
  return bound_ms;
}

std::string missing_for_cells() {
  if (geteuid() != 0) return "root, to make namespaces and mounts";
  std::string why;
  if (cgroup_root(&why).empty()) return "a cgroup to write to: " + why;
  try {
    ProcessSpec probe;
    probe.argv = {"true"};
    probe.namespaces = kNamespaces;
    start_process(probe).wait(Child::kDestructorDeadlineMs);
  } catch (const std::runtime_error& refused) {
    return std::string("new pid, mount, IPC and network namespaces: ") + refused.what();
  }
  return {};
}

std::string missing_for_fuse() {
  const UniqueFd fuse(open("/dev/fuse", O_RDWR | O_CLOEXEC));
  return fuse ? std::string() : std::string("/dev/fuse, to serve files: ") + std::strerror(errno);
}

}  // namespace

CellSupport cell_support() {
  CellSupport out;
  out.missing = missing_for_cells();
  out.missing_fuse = out.missing.empty() ? missing_for_fuse() : out.missing;
  return out;
}

Cell::Cell(const CellSpec& spec, Keeper* keeper)
    : case_folder_(spec.case_folder), keeper_(keeper), cgroup_(Cgroup::create()) {
  std::error_code none_there;
  fs::remove(result_path(case_folder_), none_there);
  const std::string spec_path = case_folder_ + "/cell.json";
  std::ofstream file(spec_path);
  file << to_json(spec) << "\n" << std::flush;
  if (!file) throw std::runtime_error(spec_path + ": cannot be written");

  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    throw std::runtime_error(std::string("no socket pair: ") + std::strerror(errno));
  }
  control_ = UniqueFd(ends[0]);
  const UniqueFd theirs(ends[1]);
  const UniqueFd procs = cgroup_.open_procs();
  ProcessSpec process;
  process.argv = {sibling_program("batch71-cell"), spec_path, std::to_string(theirs.get())};
  process.inherited_fds = {theirs.get()};
  process.cgroup_procs_fd = procs.get();
  process.namespaces = kNamespaces;
  process.new_session = true;
  process.output_path = log_path(case_folder_);
  init_ = start_process(process);
  if (keeper_ != nullptr) keeper_->watch_cell(init_.pidfd(), cgroup_.path());
}

Cell::~Cell() {
  if (init_.running()) {
    init_.send_signal(SIGKILL);
    init_.wait(Child::kDestructorDeadlineMs);
  }
  const std::string cgroup_path = cgroup_.path();
  cgroup_.remove();
  if (keeper_ == nullptr) return;
  try {
    keeper_->forget_cell(cgroup_path);
  } catch (const std::runtime_error& gone) {
    // Then nobody holds the cell any more, and that was the aim.
  }
}

bool Cell::wait(int deadline_ms) { return !init_.running() || init_.wait(deadline_ms); }

void Cell::end_now() {
  const char wish = 'e';
  (void)!send(control_.get(), &wish, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

CellResult Cell::result() const {
  if (fs::exists(result_path(case_folder_))) return read_cell_result(result_path(case_folder_));
  CellResult out;
  out.error = "the cell ended without a result: " +
              (init_.ending() ? to_text(*init_.ending()) : std::string("it still runs")) + "; " +
              last_line(log_path(case_folder_));
  return out;
}

CellResult run_cell(const CellSpec& spec, Keeper* keeper) {
  if (spec.ranks.deadline_ms < 0) throw std::runtime_error("a cell without a deadline");
  Cell cell(spec, keeper);
  cell.wait(total_bound_ms(spec));
  return cell.result();
}

}  // namespace batch71::launch
