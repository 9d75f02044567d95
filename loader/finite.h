// Are all numbers finite, or within a limit? At memory speed, whatever the compiler assumes of arithmetic.
#pragma once

#include <cstddef>

namespace batch71::loader {

bool all_finite(const float* values, size_t count);
// |value| <= limit for each; NaN and infinity are within no limit. `limit`: positive, finite.
bool all_within(float limit, const float* values, size_t count);

}  // namespace batch71::loader
