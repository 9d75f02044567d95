// docs/faults.md, from the catalogue.
#include <string>
#include <utility>

#include "faults/fault.h"

namespace batch71::faults {
namespace {

constexpr const char* kHead = R"(# Faults

Generated from the catalogue (`faults/catalogue.cc`; `batch71 faults list|show`); a unit test compares. Each is
really done to real processes, in a cell (root), and each is shown to be real on a loader without guards
(`subjects/naive_main.cc`): the column *unguarded*. A plan names a fault and its place:
`worker_sigkill@rank=1,batch=71` (`faults/plan.h`).

| fault | family | what happens | unguarded | verdict, in stage | lost | needs |
|---|---|---|---|---|---|---|
)";

constexpr const char* kDetails = R"(
## How each is done

| fault | seam | how | a loader without guards |
|---|---|---|---|
)";

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "`" : " or `") + word + "`";
  return text;
}

std::string needs_of(const Fault& fault) {
  std::string text = fault.needs.fuse ? "/dev/fuse" : "";
  const std::string epochs = std::to_string(fault.needs.epochs) + " epochs";
  for (const auto& [is_needed, what] :
       {std::pair(fault.needs.workers, "workers"), std::pair(fault.needs.peers, "other ranks"),
        std::pair(fault.needs.hooks, "user hooks"), std::pair(fault.needs.noise, "noise"),
        std::pair(fault.needs.epochs > 1, epochs.c_str()),
        std::pair(fault.needs.fresh_workers, "`persistent_workers: false`")}) {
    if (is_needed) text += std::string(text.empty() ? "" : ", ") + what;
  }
  return text;
}

}  // namespace

std::string catalogue_as_markdown() {
  std::string table = kHead;
  std::string details = kDetails;
  for (const Fault& fault : catalogue()) {
    const std::string begin = "| `" + fault.name + "` | ";
    table += begin + std::string(name(fault.family)) + " | " + fault.says + " | " +
             std::string(name(fault.control)) + " | `" + fault.verdict + "`" +
             (fault.stages.empty() ? "" : ", " + joined(fault.stages)) + " | " +
             std::string(name(fault.loses)) + " | " + needs_of(fault) + " |\n";
    details += begin + fault.seam + " | " + fault.how + " | " + fault.unguarded + " |\n";
  }
  return table + details;
}

std::string faults_and_guards_as_markdown() {
  std::string table =
      "| fault | verdict | guard that answers | lost | without guards |\n|---|---|---|---|---|\n";
  for (const Fault& fault : catalogue()) {
    table += "| `" + fault.name + "` | `" + fault.verdict + "` | `" + fault.guard + "` | " +
             std::string(name(fault.loses)) + " | " + std::string(name(fault.control)) + " |\n";
  }
  return table;
}

}  // namespace batch71::faults
