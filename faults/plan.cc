// Reads fault plans and finds the place that they mean.
#include "faults/plan.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "loader/yaml_section.h"
#include "trace/errors.h"

namespace batch71::faults {
namespace {

constexpr int64_t kOriginalBatch = 71;

using Field = std::optional<int64_t> FaultPlan::*;
const std::vector<std::pair<std::string, Field>>& fields() {
  static const std::vector<std::pair<std::string, Field>> kFields{{"rank", &FaultPlan::rank},
                                                                  {"worker", &FaultPlan::worker},
                                                                  {"epoch", &FaultPlan::epoch},
                                                                  {"batch", &FaultPlan::batch},
                                                                  {"index", &FaultPlan::index}};
  return kFields;
}

std::vector<std::string> keys() {
  std::vector<std::string> out;
  for (const auto& [key, field] : fields()) out.push_back(key);
  return out;
}

[[noreturn]] void refuse(const std::string& plan, const std::string& why) {
  throw UsageError("fault plan '" + plan + "': " + why);
}

void read_assignment(const std::string& text, const std::string& assignment, FaultPlan& plan) {
  const size_t equals = assignment.find('=');
  const std::string key = assignment.substr(0, equals);
  const auto known = std::find_if(fields().begin(), fields().end(),
                                  [&](const auto& field) { return field.first == key; });
  if (known == fields().end()) {
    refuse(text, "unknown key '" + key + "'; the nearest known one is '" +
                     loader::nearest(key, keys()) + "'");
  }
  const std::string digits = equals == std::string::npos ? "" : assignment.substr(equals + 1);
  int64_t value = -1;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc{} || end != digits.data() + digits.size() || value < 0) {
    refuse(text, key + " is '" + digits + "'; expected a number from 0");
  }
  std::optional<int64_t>& field = plan.*known->second;
  if (field) refuse(text, key + " is given twice");
  field = value;
}

std::string number(int64_t value) { return std::to_string(value); }

// Throws unless `value` is one of 0 .. count - 1.
void check_below(const std::string& plan, const std::string& what, int64_t value, int64_t count,
                 const std::string& whose) {
  if (value < count) return;
  refuse(plan, what + " " + number(value) + " of " + number(count) + " cannot be: " + whose +
                   (count == 0 ? " none" : " 0 to " + number(count - 1)));
}

int64_t batch_of(const FaultPlan& plan, const Where& where, int64_t index, const JobShape& job) {
  for (int64_t batch = 0; batch < job.num_batches; ++batch) {
    const std::vector<int64_t> indices = job.indices_of(where.rank, where.epoch, batch);
    if (std::find(indices.begin(), indices.end(), index) != indices.end()) return batch;
  }
  refuse(to_text(plan), "index " + number(index) + " is not consumed by rank " +
                            number(where.rank) + " in epoch " + number(where.epoch));
}

int32_t epoch_of(const FaultPlan& plan, const JobShape& job) {
  const std::string text = to_text(plan);
  const int64_t first = plan.fault->needs.epochs - 1;
  const int64_t epoch = plan.epoch.value_or(first);
  check_below(text, "epoch", epoch, job.num_epochs, "epochs of the job are");
  if (epoch < first) {
    refuse(text,
           "epoch " + number(epoch) + " cannot be: it strikes from epoch " + number(first) + " on");
  }
  if (plan.fault->is_lasting && epoch > 0) {
    refuse(text, "epoch " + number(epoch) +
                     " cannot be: it strikes in epoch 0, and again in each later one");
  }
  return static_cast<int32_t>(epoch);
}

}  // namespace

FaultPlan parse_plan(const std::string& text) {
  FaultPlan plan;
  const size_t at = text.find('@');
  plan.fault = &find_fault(text.substr(0, at));
  if (at == std::string::npos) return plan;
  for (size_t begin = at + 1; begin != std::string::npos + 1;) {
    const size_t comma = text.find(',', begin);
    const size_t length = comma == std::string::npos ? comma : comma - begin;
    read_assignment(text, text.substr(begin, length), plan);
    begin = comma + 1;
  }
  return plan;
}

std::string to_text(const FaultPlan& plan) {
  std::string text = plan.fault->name;
  char separator = '@';
  for (const auto& [key, field] : fields()) {
    if (!(plan.*field)) continue;
    text += separator + key + "=" + number(*(plan.*field));
    separator = ',';
  }
  return text;
}

std::string to_text(const Where& where) {
  std::string text = "rank=" + number(where.rank);
  if (where.worker >= 0) text += ",worker=" + number(where.worker);
  if (where.epoch > 0) text += ",epoch=" + number(where.epoch);
  if (where.batch >= 0) text += ",batch=" + number(where.batch);
  if (where.index >= 0) text += ",index=" + number(where.index);
  return text;
}

std::string to_text(const Fault& fault, const Where& where) {
  if (fault.strikes_all) return "all ranks";
  Where place = where;
  if (fault.target != Target::kItem) place.index = -1;
  if (fault.target == Target::kShard || fault.target == Target::kStart) {
    place.epoch = -1;
    place.batch = -1;
  }
  return to_text(place);
}

Where resolve(const FaultPlan& plan, const JobShape& job) {
  const std::string text = to_text(plan);
  const bool is_of_host = plan.fault->strikes_host || job.world_size == 1;
  const int64_t rank = plan.rank.value_or(is_of_host ? 0 : 1);
  check_below(text, "rank", rank, job.world_size, "ranks are");
  if (plan.fault->strikes_host && rank != 0) {
    refuse(text, "rank " + number(rank) + " cannot be: rank 0 hosts the store");
  }
  if (plan.worker) {
    check_below(text, "worker", *plan.worker, job.num_workers, "workers of a rank are");
    if (job.num_workers > 1) {
      refuse(text, "of several workers the one who is free gets the sample; leave worker out");
    }
  }
  Where where;
  where.epoch = epoch_of(plan, job);
  where.rank = static_cast<int>(rank);
  where.worker = static_cast<int>(plan.worker.value_or(-1));
  if (plan.index && !plan.batch) {
    where.batch = batch_of(plan, where, *plan.index, job);
  } else {
    where.batch = plan.batch.value_or(job.num_batches > kOriginalBatch ? kOriginalBatch
                                                                       : job.num_batches / 2);
  }
  check_below(text, "batch", where.batch, job.num_batches, "batches of a rank are");
  const std::vector<int64_t> indices = job.indices_of(where.rank, where.epoch, where.batch);
  if (indices.empty()) {
    refuse(text, "batch " + number(where.batch) + " cannot be: the shard of rank " + number(rank) +
                     " ends before");
  }
  where.index = plan.index.value_or(indices.front());
  if (std::find(indices.begin(), indices.end(), where.index) == indices.end()) {
    refuse(text, "index " + number(where.index) + " is not in batch " + number(where.batch) +
                     " of rank " + number(rank));
  }
  return where;
}

std::string why_not_applicable(const Fault& fault, const JobShape& job) {
  if (fault.needs.workers && job.num_workers == 0) return "there are no workers (num_workers: 0)";
  if (fault.target == Target::kShard && job.world_size == 1)
    return "one rank has nobody to differ from";
  if (fault.target == Target::kShard && job.is_sharded)
    return "each rank has its own shard already";
  if (fault.needs.peers && job.world_size == 1) return "there is no other rank to notice it";
  if (fault.needs.noise && !job.has_noise) {
    return "no noise is mixed in (train_ds: noise_manifest_filepath)";
  }
  if (job.num_epochs < fault.needs.epochs) {
    return "it needs " + number(fault.needs.epochs) + " epochs (trainer: max_epochs)";
  }
  if (fault.needs.fresh_workers && job.persistent_workers) {
    return "no workers are forked after the first epoch (persistent_workers: true)";
  }
  return "";
}

bool is_spared(const Fault& fault, const JobShape& job) {
  return fault.spares_fresh_workers && !job.persistent_workers;
}

}  // namespace batch71::faults
