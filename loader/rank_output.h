// What a rank says on stderr, line by line, with its number before it.
#pragma once

#include <string>

namespace batch71::loader {

// Each line after "[rank N] <label>: "; a reader that does not read cannot hold us up.
void print_lines(int rank, const char* label, const std::string& lines);

}  // namespace batch71::loader
