// The report as JSON; its keys are documented in docs/verdicts.md and only ever added to.
#include <nlohmann/json.hpp>

#include "diagnose/diagnose.h"

namespace batch71::diagnose {
namespace {

using Json = nlohmann::ordered_json;

Json to_value(const Verdict& verdict) {
  const KindText& kind = text(verdict.kind);
  return Json{{"kind", kind.name},
              {"line", one_line(verdict)},
              {"rank", verdict.rank},
              {"worker", verdict.worker},
              {"epoch", verdict.epoch},
              {"batch", verdict.batch},
              {"index", verdict.index},
              {"file", verdict.file},
              {"stage", trace::name(verdict.stage)},
              {"recovered", verdict.recovered},
              {"sure", verdict.sure},
              {"since_ns", verdict.since_ns},
              {"detected_ns", verdict.detected_ns},
              {"waiting", verdict.waiting},
              {"evidence", verdict.evidence},
              {"remedy", remedy(verdict)}};
}

Json to_value(const RankRow& row) {
  return Json{{"rank", row.rank},
              {"state", row.state},
              {"epoch", row.epoch},
              {"batch", row.batch},
              {"stage", trace::name(row.stage)},
              {"since_ns", row.since_ns},
              {"waits_for", row.waits_for}};
}

}  // namespace

std::string to_json(const Diagnosis& diagnosis) {
  Json verdicts = Json::array();
  for (const Verdict& verdict : diagnosis.verdicts) verdicts.push_back(to_value(verdict));
  Json ranks = Json::array();
  for (const RankRow& row : diagnosis.ranks) ranks.push_back(to_value(row));
  const Json root{{"format", 1},
                  {"finished", diagnosis.finished},
                  {"world_size", diagnosis.world_size},
                  {"ranks_seen", diagnosis.ranks_seen},
                  {"now_ns", diagnosis.now_ns},
                  {"verdicts", std::move(verdicts)},
                  {"ranks", std::move(ranks)},
                  {"problems", diagnosis.problems},
                  {"notes", diagnosis.notes}};
  // Names of files may be any bytes: what is no UTF-8 is replaced, never thrown at the reader.
  return root.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace batch71::diagnose
