// Resampling by soxr.
#include "loader/resample.h"

#include <soxr.h>

#include <cmath>
#include <stdexcept>

namespace batch71::loader {
namespace {

soxr* make(int from_hz, int to_hz) {
  soxr_error_t error = nullptr;
  const soxr_quality_spec_t quality = soxr_quality_spec(SOXR_HQ, 0);
  const soxr_runtime_spec_t one_thread = soxr_runtime_spec(1);
  soxr* state = soxr_create(from_hz, to_hz, 1, &error, nullptr, &quality, &one_thread);
  if (error != nullptr) throw std::runtime_error(std::string("soxr: ") + soxr_strerror(error));
  return state;
}

}  // namespace

void Resampler::Delete::operator()(soxr* state) const { soxr_delete(state); }

std::vector<float> Resampler::process(const std::vector<float>& samples, int from_hz) {
  State& state = states_[from_hz];
  if (state == nullptr) state.reset(make(from_hz, to_hz_));
  soxr_clear(state.get());
  const double ratio = static_cast<double>(to_hz_) / from_hz;
  std::vector<float> out(
      static_cast<size_t>(std::llround(static_cast<double>(samples.size()) * ratio)));
  size_t done = 0;
  size_t taken = 0;
  soxr_error_t error = soxr_process(state.get(), samples.data(), samples.size(), &taken, out.data(),
                                    out.size(), &done);
  // No input: the rest comes out. What rounding leaves at the end is silence.
  while (error == nullptr && done < out.size()) {
    size_t more = 0;
    error =
        soxr_process(state.get(), nullptr, 0, nullptr, out.data() + done, out.size() - done, &more);
    if (more == 0) break;
    done += more;
  }
  if (error != nullptr) throw std::runtime_error(std::string("soxr: ") + soxr_strerror(error));
  return out;
}

}  // namespace batch71::loader
