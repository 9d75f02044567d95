// The report as text: one line for logs, one screen for a person.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "diagnose/diagnose.h"
#include "diagnose/facts.h"
#include "diagnose/texts.h"

namespace batch71::diagnose {
namespace {

constexpr size_t kMaxVerdicts = 8;  // one screen
constexpr size_t kMaxRanks = 16;
constexpr size_t kMaxEvidence = 6;
constexpr size_t kMaxProblems = 4;
constexpr size_t kMaxNotes = 2;
constexpr const char* kNotSure = "not sure: ";

class Painter {
 public:
  explicit Painter(bool colour) : colour_(colour) {}
  std::string bad(const std::string& text) const { return paint("1;31", text); }
  std::string good(const std::string& text) const { return paint("1;32", text); }
  std::string faint(const std::string& text) const { return paint("2", text); }

 private:
  std::string paint(const char* code, const std::string& text) const {
    return colour_ ? fmt::format("\x1b[{}m{}\x1b[0m", code, text) : text;
  }
  bool colour_;
};

std::string who(const Verdict& verdict) {
  if (verdict.rank < 0) return "job";
  std::string out = fmt::format("rank {}", verdict.rank);
  if (verdict.worker >= 0) out += fmt::format(" worker {}", verdict.worker);
  return out;
}

std::string place(const Verdict& verdict) {
  std::string out;
  if (verdict.index >= 0) out += fmt::format("item {}", verdict.index);
  if (verdict.batch >= 0) {
    out += fmt::format("{}batch {}", out.empty() ? "" : " of ", verdict.batch);
    if (verdict.epoch >= 0) out += fmt::format(" (epoch {})", verdict.epoch);
  }
  if (verdict.stage != trace::Stage::kNone) {
    out += fmt::format("{}in {}", out.empty() ? "" : " ", trace::name(verdict.stage));
  }
  if (!verdict.file.empty()) {
    out += fmt::format("{}{}", out.empty() ? "" : " of ", as_one_line(verdict.file));
  }
  return out;
}

std::string seconds(uint64_t since_ns, uint64_t now_ns) {
  if (since_ns == 0) return "-";
  return fmt::format("{:.1f} s", static_cast<double>(elapsed_ns(since_ns, now_ns)) / 1e9);
}

std::string remedy_lines(const Verdict& verdict) {
  std::string out(remedy(verdict));
  if (verdict.kind == Kind::kNothingWrong || verdict.file.empty()) return out;
  // A path may be relative there, to the manifest's folder, which no trace tells.
  return out + "\n          manifest line: its audio_filepath is " + as_one_line(verdict.file) +
         ", or the end of that";
}

std::string number_or_dash(int64_t value) { return value < 0 ? "-" : std::to_string(value); }

std::string rank_table(const Diagnosis& diagnosis) {
  std::string out = fmt::format("  {:>4}  {:<16} {:>5} {:>6}  {:<11} {:>9}  {}\n", "rank", "state",
                                "epoch", "batch", "stage", "since", "waits for");
  for (size_t i = 0; i < std::min(diagnosis.ranks.size(), kMaxRanks); ++i) {
    const RankRow& row = diagnosis.ranks[i];
    const std::string stage(row.stage == trace::Stage::kNone ? "-" : trace::name(row.stage));
    out += fmt::format("  {:>4}  {:<16} {:>5} {:>6}  {:<11} {:>9}  {}\n", row.rank, row.state,
                       number_or_dash(row.epoch), number_or_dash(row.batch), stage,
                       seconds(row.since_ns, diagnosis.now_ns),
                       row.waits_for.empty() ? "-" : row.waits_for);
  }
  if (diagnosis.ranks.size() > kMaxRanks) {
    out += fmt::format("  ... and {} ranks more\n", diagnosis.ranks.size() - kMaxRanks);
  }
  return out;
}

std::string bullet_list(const std::string& title, const std::vector<std::string>& lines,
                        size_t most) {
  if (lines.empty()) return "";
  std::string out = title + "\n";
  for (size_t i = 0; i < std::min(lines.size(), most); ++i) out += "  - " + lines[i] + "\n";
  if (lines.size() > most) out += fmt::format("  ... and {} more (--json)\n", lines.size() - most);
  return out;
}

// Ranks that look at the same write down the same: once is enough.
std::vector<std::string> without_echoes(const std::vector<std::string>& evidence) {
  std::vector<std::string> lines;
  std::set<std::string> told;
  for (const std::string& line : evidence) {
    if (told.insert(line.substr(0, line.rfind(" ("))).second) lines.push_back(line);
  }
  return lines;
}

std::string headline(const Verdict& verdict, const Painter& paint) {
  const bool fine = verdict.kind == Kind::kNothingWrong || verdict.recovered;
  const std::string line = (verdict.sure ? "" : kNotSure) + one_line(verdict);
  return (fine ? paint.good(line) : paint.bad(line)) + "\n";
}

// "" if all are shown.
std::string rest_of(const std::vector<Verdict>& verdicts) {
  if (verdicts.size() <= kMaxVerdicts) return "";
  return fmt::format("... and {} verdicts more (batch71 diagnose --json)",
                     verdicts.size() - kMaxVerdicts);
}

}  // namespace

std::string one_line(const Verdict& verdict) {
  const std::string says(text(verdict.kind).says);
  if (verdict.kind == Kind::kNothingWrong) return says;
  const std::string where = place(verdict);
  const std::string what = verdict.what.empty() ? "" : " (" + as_one_line(verdict.what) + ")";
  return fmt::format("{}: {}{}{}{}{}", who(verdict), where, where.empty() ? "" : ": ", says, what,
                     verdict.recovered && verdict.index >= 0 ? "; a dummy took its place" : "");
}

std::vector<std::string> headlines(const std::vector<Verdict>& verdicts) {
  std::vector<std::string> lines;
  for (size_t i = 0; i < std::min(verdicts.size(), kMaxVerdicts); ++i) {
    const bool claims_too_much = verdicts[i].kind == Kind::kNothingWrong && !verdicts[i].sure;
    lines.push_back((claims_too_much ? kNotSure : "") + one_line(verdicts[i]));
  }
  if (const std::string rest = rest_of(verdicts); !rest.empty()) lines.push_back(rest);
  return lines;
}

std::string to_screen(const Diagnosis& diagnosis, bool colour) {
  const Painter paint(colour);
  const Verdict& first = diagnosis.verdicts.front();
  std::string out = headline(first, paint);
  for (size_t i = 1; i < std::min(diagnosis.verdicts.size(), kMaxVerdicts); ++i) {
    out += headline(diagnosis.verdicts[i], paint);
  }
  if (const std::string rest = rest_of(diagnosis.verdicts); !rest.empty()) out += rest + "\n";
  if (first.since_ns != 0 && !first.recovered) {
    out += "since   " + seconds(first.since_ns, diagnosis.now_ns) + "\n";
  }
  if (!diagnosis.ranks.empty()) out += "\n" + rank_table(diagnosis);
  out += "\n" + bullet_list("evidence", without_echoes(first.evidence), kMaxEvidence);
  if (const std::string text = remedy_lines(first); !text.empty())
    out += "remedy    " + text + "\n";
  out += bullet_list("notes", diagnosis.notes, kMaxNotes);
  const std::string problems = bullet_list("traces", diagnosis.problems, kMaxProblems);
  return problems.empty() ? out : out + paint.faint(problems);
}

}  // namespace batch71::diagnose
