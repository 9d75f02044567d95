// Covering arrays: few rows in which every two values of different factors meet.
//
//   pairwise({3, 3, 2}) gives rows like {2, 0, 1}: of the first factor value 2 of 3, ...
// Greedy and deterministic; not always the fewest rows.
#pragma once

#include <cstddef>
#include <vector>

namespace batch71::suites {

using PairRow = std::vector<size_t>;
std::vector<PairRow> pairwise(const std::vector<size_t>& values_of_factors);

}  // namespace batch71::suites
