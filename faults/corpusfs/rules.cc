// Reads rules and applies them.
#include "faults/corpusfs/rules.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <nlohmann/json.hpp>
#include <utility>

#include "trace/errors.h"

namespace batch71::faults {
namespace {

constexpr std::array<std::pair<Op, std::string_view>, 3> kOps{
    {{Op::kLookup, "lookup"}, {Op::kOpen, "open"}, {Op::kRead, "read"}}};
constexpr std::array<std::pair<Action, std::string_view>, 8> kActions{
    {{Action::kLog, "log"},
     {Action::kFail, "fail"},
     {Action::kDeny, "deny"},
     {Action::kBlock, "block"},
     {Action::kBlockDeaf, "block_deaf"},
     {Action::kStopReader, "stop_reader"},
     {Action::kKillReader, "kill_reader"},
     {Action::kKillParent, "kill_parent"}}};

template <typename Table, typename Value>
std::string_view name_in(const Table& table, Value value) {
  for (const auto& [each, text] : table) {
    if (each == value) return text;
  }
  return "unknown";
}

template <typename Table>
auto value_in(const Table& table, const std::string& name, const std::string& path) {
  std::string known;
  for (const auto& [value, text] : table) {
    if (text == name) return value;
    known += (known.empty() ? "" : ", ") + std::string(text);
  }
  throw UsageError(path + ": unknown \"" + name + "\"; known are " + known);
}

}  // namespace

std::string_view name(Op op) { return name_in(kOps, op); }
std::string_view name(Action action) { return name_in(kActions, action); }

std::vector<Rule> read_rules(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw UsageError(path + ": cannot be read; it must hold a JSON array of rules");
  std::vector<Rule> out;
  try {
    for (const auto& entry : nlohmann::json::parse(file)) {
      Rule& rule = out.emplace_back();
      rule.path = entry.at("path").get<std::string>();
      rule.op = value_in(kOps, entry.at("op").get<std::string>(), path);
      rule.action = value_in(kActions, entry.at("action").get<std::string>(), path);
      rule.strikes = entry.value("strikes", 1);
      rule.nth = entry.value("nth", 1);
      rule.after_opens = entry.value("after_opens", int64_t{0});
    }
  } catch (const nlohmann::json::exception& problem) {
    throw UsageError(path + ": " + problem.what());
  }
  return out;
}

Rules::Rules(std::vector<Rule> rules) {
  for (Rule& rule : rules) rules_.push_back({std::move(rule)});
}

std::optional<Action> Rules::take(Op op, const std::string& path) {
  const std::lock_guard lock(mutex_);
  for (Counted& counted : rules_) {
    const Rule& rule = counted.rule;
    if (rule.path != path) continue;
    // A look-up comes before its open, a read after it.
    const int64_t opens_before = counted.opens - (op == Op::kRead ? 1 : 0);
    if (op == Op::kOpen) ++counted.opens;
    if (rule.op != op || opens_before < rule.after_opens) continue;
    const int access = ++counted.accesses;
    if (access >= rule.nth && access < rule.nth + rule.strikes) return rule.action;
  }
  return std::nullopt;
}

bool Rules::is_denied(const std::string& path) {
  const std::lock_guard lock(mutex_);
  return std::any_of(rules_.begin(), rules_.end(), [&path](const Counted& counted) {
    return counted.rule.action == Action::kDeny && counted.rule.path == path &&
           counted.accesses >= counted.rule.nth;
  });
}

}  // namespace batch71::faults
