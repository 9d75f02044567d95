// A user's own code, going wrong once.
#include "faults/seams/user_hooks.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <latch>
#include <mutex>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <thread>

#include "faults/seams/shared_locks.h"

namespace user {
namespace {

int64_t monotonic_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

int rank_of_this_process() {
  const char* rank = std::getenv("RANK");
  return rank == nullptr ? 0 : std::atoi(rank);
}

void refine() {
  volatile uint64_t turns = 0;
  while (true) turns = turns + 1;
}

void look_up() { throw std::runtime_error("no entry for this energy in the table"); }

std::mutex first_table;
std::mutex second_table;

void merge(std::mutex& one, std::mutex& other, std::latch& both_hold_one) {
  const std::lock_guard mine(one);
  both_hold_one.arrive_and_wait();
  const std::lock_guard theirs(other);
}

void merge_tables() {
  std::latch both_hold_one(2);
  std::thread helper([&] { merge(second_table, first_table, both_hold_one); });
  merge(first_table, second_table, both_hold_one);
  helper.join();
}

void await_result() {
  while (true) pause();
}

// A file lock belongs to a process and is not inherited: others see by it that ours lives and holds.
void renew_table(const std::string& held, std::latch& is_held) {
  first_table.lock();
  const int fd = open(held.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  struct flock all {};
  all.l_type = F_WRLCK;
  if (fd < 0 || fcntl(fd, F_SETLK, &all) != 0) std::terminate();
  is_held.count_down();
  await_result();
}

// Once in a process; comes back when the lock is held.
void renew_table_beside(const std::string& held) {
  static std::latch is_held(1);
  static const bool begun = [&] {
    std::thread([held] { renew_table(held, is_held); }).detach();
    return true;
  }();
  if (begun) is_held.wait();
}

bool is_held_by_another(const std::string& held) {
  const int fd = open(held.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  struct flock all {};
  all.l_type = F_WRLCK;
  const bool is_held = fcntl(fd, F_GETLK, &all) == 0 && all.l_type != F_UNLCK;
  close(fd);
  return is_held;
}

void use_table() { const std::lock_guard mine(first_table); }

void refine_slowly() {
  constexpr int kSlowMs = 500;
  poll(nullptr, 0, kSlowMs);
}

// The numbers are those of faults::UserDeed.
void act(int deed) {
  switch (deed) {
    case 1: return refine();
    case 2: return look_up();
    case 3: return merge_tables();
    case 4: return await_result();
    case 5: kill(getpid(), SIGKILL); return;
    case 6: kill(getpid(), SIGSTOP); return;
    case 7: return refine_slowly();
    case 8: return;  // it is the result that is spoiled
    case 9: return use_table();
    default: throw std::runtime_error("unknown \"do\" in USER_HOOKS");
  }
}

void append(const std::string& path, const std::string& line) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0) throw std::runtime_error(path + ": cannot be written");
  (void)!write(fd, line.data(), line.size());
  close(fd);
}

}  // namespace

Hooks::At Hooks::at_from(const std::string& name) {
  if (name == "featurizer") return At::kFeaturizer;
  if (name == "backward") return At::kBackward;
  return name == "loss" ? At::kLoss : At::kForward;
}

Hooks Hooks::from_environment() {
  Hooks hooks;
  const char* path = std::getenv("USER_HOOKS");
  if (path == nullptr) return hooks;
  std::ifstream file(path);
  const nlohmann::json said = nlohmann::json::parse(file);
  if (said.at("rank").get<int>() != rank_of_this_process()) return hooks;
  hooks.at_ = at_from(said.at("at").get<std::string>());
  hooks.epoch_ = said.at("epoch").get<int64_t>();
  hooks.numbers_ = hooks.at_ == At::kFeaturizer ? said.at("indices").get<std::vector<int64_t>>()
                                                : std::vector{said.at("batch").get<int64_t>()};
  hooks.from_table_ = said.value("from_table", false);
  hooks.goes_on_ = said.value("goes_on", false);
  hooks.held_ = said.value("held", std::string());
  hooks.deed_ = said.at("do").get<int>();
  hooks.log_ = said.at("log").get<std::string>();
  hooks.once_ = said.at("once").get<std::string>();
  return hooks;
}

void Hooks::sample(int64_t index) {
  if (table_epoch_ < 0) table_epoch_ = now_;
  const bool is_it = std::find(numbers_.begin(), numbers_.end(), index) != numbers_.end();
  if (at_ == At::kFeaturizer && goes_on_) return sample_from_then_on(is_it);
  if (at_ != At::kFeaturizer || now_ != epoch_ || !is_it) return;
  const bool is_in_table = table_epoch_ == now_;
  if (from_table_ && is_in_table) return;
  if (!held_.empty() && !is_held_by_another(held_)) return;
  if (waits_for_shared_lock()) return;
  if (note_first("featurizer") || from_table_) act(deed_);
}

void Hooks::sample_from_then_on(bool is_it) const {
  if (now_ < epoch_ || (now_ == epoch_ && !is_it)) return;
  note("featurizer");
  act(deed_);
}

bool Hooks::waits_for_shared_lock() const {
  const auto has_shared = reinterpret_cast<decltype(&user_has_shared_mutex)>(
      dlsym(RTLD_DEFAULT, "user_has_shared_mutex"));
  const auto call_before_unlock = reinterpret_cast<decltype(&user_call_before_shared_unlock)>(
      dlsym(RTLD_DEFAULT, "user_call_before_shared_unlock"));
  if (has_shared == nullptr || call_before_unlock == nullptr || has_shared() == 0) return false;
  const auto act_now = [](const void* self) {
    const auto* hooks = static_cast<const Hooks*>(self);
    if (hooks->note_first("unlock")) act(hooks->deed_);
  };
  call_before_unlock(act_now, this);
  return true;
}

void Hooks::step(int64_t batch) const {
  if (!held_.empty() && now_ < epoch_) renew_table_beside(held_);
  if (is_due(At::kForward, batch, "forward")) act(deed_);
}

bool Hooks::loss(int64_t batch) const {
  constexpr int kSpoil = 8;
  if (!is_due(At::kLoss, batch, "loss")) return false;
  act(deed_);
  return deed_ == kSpoil;
}

void Hooks::backward(int64_t batch) const {
  if (is_due(At::kBackward, batch, "backward")) act(deed_);
}

bool Hooks::is_due(At at, int64_t batch, const char* place) const {
  return at_ == at && now_ == epoch_ && batch == numbers_.front() && note_first(place);
}

bool Hooks::note_first(const char* place) const {
  const int marker = open(once_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (marker < 0) return false;
  close(marker);
  note(place);
  return true;
}

void Hooks::note(const char* place) const {
  const nlohmann::ordered_json line{{"state", "struck"}, {"monotonic_ns", monotonic_ns()},
                                    {"pid", getpid()},   {"path", ""},
                                    {"op", place},       {"action", std::to_string(deed_)}};
  append(log_, line.dump() + "\n");
}

}  // namespace user
