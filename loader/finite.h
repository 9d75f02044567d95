// Are all numbers finite? At memory speed, whatever the compiler may assume of arithmetic.
#pragma once

#include <cstddef>

namespace batch71::loader {

bool all_finite(const float* values, size_t count);

}  // namespace batch71::loader
