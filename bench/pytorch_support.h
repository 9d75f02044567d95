// Whether PyTorch can be run here, for the programs that are held against it.
#pragma once

namespace batch71::bench {

// How a program ends that has nothing to hold itself against; ctest calls it skipped.
inline constexpr int kSkipped = 77;

// False: says on stderr why not.
bool pytorch_is_there();

}  // namespace batch71::bench
