// Changes the sample rate (soxr, high quality). Keeps one resampler per input rate.
#pragma once

#include <map>
#include <memory>
#include <vector>

struct soxr;

namespace batch71::loader {

class Resampler {
 public:
  explicit Resampler(int to_hz) : to_hz_(to_hz) {}

  // round(samples * to / from) samples at `to_hz`. The same input gives the same bits, whatever came
  // before it.
  std::vector<float> process(const std::vector<float>& samples, int from_hz);

 private:
  struct Delete {
    void operator()(soxr* state) const;
  };
  using State = std::unique_ptr<soxr, Delete>;

  int to_hz_;
  std::map<int, State> states_;
};

}  // namespace batch71::loader
