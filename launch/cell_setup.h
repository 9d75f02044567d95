// Furnishes a cell from within: mounts, loopback network. For batch71-cell, as pid 1 of it.
#pragma once

#include "launch/cell_spec.h"

namespace batch71::launch {

// Throws std::runtime_error with what failed. Afterwards every path of the spec is as it was outside,
// but for /tmp and /dev/shm, which hold nothing else, and for the spec's own mounts.
void furnish_cell(const CellSpec& spec);

}  // namespace batch71::launch
