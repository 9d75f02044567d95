// noise_truncated_header: a noise file that ends within its header.
#include "faults/fault.h"

namespace batch71::faults {

Fault wav_truncated_header();

Fault noise_truncated_header() {
  Fault fault = wav_truncated_header();  // the same, done to another file
  fault.name = "noise_truncated_header";
  fault.says = "A noise file ends within its header.";
  fault.seam = "the noise file";
  fault.stages = {"noise_mix"};
  fault.needs.noise = true;
  return fault;
}

}  // namespace batch71::faults
