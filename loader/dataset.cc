// Names of the reasons.
#include "loader/dataset.h"

namespace batch71::loader {

std::string_view name(BadItem reason) {
  switch (reason) {
    case BadItem::kMissing: return "missing";
    case BadItem::kUnreadable: return "unreadable";
    case BadItem::kTruncated: return "truncated";
    case BadItem::kWrongFormat: return "wrong_format";
    case BadItem::kNotFinite: return "not_finite";
    case BadItem::kThrew: return "threw";
    case BadItem::kTooLong: return "too_long";
    case BadItem::kStuck: return "stuck";
    case BadItem::kWorkerLost: return "worker_lost";
  }
  return "unknown";
}

}  // namespace batch71::loader
