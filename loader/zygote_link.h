// The rank's end of its zygote: forks it, asks for workers, hears of their exits.
//
// For: made by the training thread before the process has others; then used by the watch alone. No call
// waits but the constructor (startup deadline) and `finish`.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "loader/unique_fd.h"
#include "loader/zygote.h"

namespace batch71::loader {

struct ZygoteEvent {
  ZygoteReport report;
  UniqueFd pidfd;  // of a spawned worker
};

class ZygoteLink {
 public:
  // UsageError: the process has threads already, or what the factories in the zygote threw.
  explicit ZygoteLink(const ChildSetup& setup);
  // Kills the zygote if it still lives; its workers die with it.
  ~ZygoteLink();
  ZygoteLink(const ZygoteLink&) = delete;
  ZygoteLink& operator=(const ZygoteLink&) = delete;

  // False: the zygote does not take it.
  bool spawn(const SpawnRequest& request);
  std::optional<ZygoteEvent> receive();
  // True if its process ended.
  bool is_gone() const;
  // Becomes readable when there is something to receive, or the zygote ends.
  std::vector<int> descriptors() const { return {socket_.get(), pidfd_.get()}; }
  // Has all workers killed and ends the zygote; returns the exits that it reported until `deadline_ns`
  // (CLOCK_MONOTONIC).
  std::vector<ZygoteReport> finish(uint64_t deadline_ns);

 private:
  void await_ready(int deadline_ms);
  void end();

  UniqueFd socket_;
  UniqueFd pidfd_;
};

}  // namespace batch71::loader
