// A program that only loads libtorch: calls one trivial function of it, prints when it had done so.
#include <ATen/ops/zeros.h>

#include <cinttypes>
#include <cstdio>

#include "trace/clock.h"

int main() {
  const bool is_there = at::zeros({1}).defined();
  std::printf("%" PRIu64 "\n", batch71::trace::monotonic_ns());
  return is_there ? 0 : 1;
}
