// A row at a time: it begins with a pair that has not met yet, and each other factor takes the value
// that makes most new pairs with what the row has.
#include "suites/pairwise.h"

#include <set>
#include <tuple>

namespace batch71::suites {
namespace {

// Factor and value, of the lower factor first.
using Pair = std::tuple<size_t, size_t, size_t, size_t>;

constexpr size_t kOpen = static_cast<size_t>(-1);

std::set<Pair> all_pairs(const std::vector<size_t>& factors) {
  std::set<Pair> pairs;
  for (size_t a = 0; a < factors.size(); ++a) {
    for (size_t b = a + 1; b < factors.size(); ++b) {
      for (size_t i = 0; i < factors[a]; ++i) {
        for (size_t j = 0; j < factors[b]; ++j) pairs.insert({a, i, b, j});
      }
    }
  }
  return pairs;
}

std::vector<Pair> pairs_with(const PairRow& row, size_t factor, size_t value) {
  std::vector<Pair> pairs;
  for (size_t other = 0; other < row.size(); ++other) {
    if (other == factor || row[other] == kOpen) continue;
    if (other < factor) pairs.emplace_back(other, row[other], factor, value);
    if (other > factor) pairs.emplace_back(factor, value, other, row[other]);
  }
  return pairs;
}

size_t best_value(const PairRow& row, size_t factor, size_t values, size_t first,
                  const std::set<Pair>& missing) {
  size_t best = 0;
  size_t most = 0;
  for (size_t turn = 0; turn < values; ++turn) {
    const size_t value = (first + turn) % values;  // of equals not always the same one
    size_t met = 1;
    for (const Pair& pair : pairs_with(row, factor, value)) met += missing.count(pair);
    if (met > most) {
      most = met;
      best = value;
    }
  }
  return best;
}

}  // namespace

std::vector<PairRow> pairwise(const std::vector<size_t>& values_of_factors) {
  std::set<Pair> missing = all_pairs(values_of_factors);
  std::vector<PairRow> rows;
  while (!missing.empty()) {
    PairRow row(values_of_factors.size(), kOpen);
    const auto [a, i, b, j] = *missing.begin();
    row[a] = i;
    row[b] = j;
    for (size_t factor = 0; factor < row.size(); ++factor) {
      if (row[factor] != kOpen) continue;
      row[factor] = best_value(row, factor, values_of_factors[factor], rows.size(), missing);
    }
    for (size_t factor = 0; factor < row.size(); ++factor) {
      for (const Pair& pair : pairs_with(row, factor, row[factor])) missing.erase(pair);
    }
    rows.push_back(row);
  }
  return rows;
}

}  // namespace batch71::suites
