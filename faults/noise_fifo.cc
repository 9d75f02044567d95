// noise_fifo: reading the noise for a sample never comes back.
#include "faults/fault.h"

namespace batch71::faults {

Fault file_fifo();

Fault noise_fifo() {
  Fault fault = file_fifo();  // the same, done to another file
  fault.name = "noise_fifo";
  fault.says = "Reading a noise file blocks for ever.";
  fault.seam = "the noise file";
  fault.stages = {"noise_mix"};
  fault.needs.noise = true;
  return fault;
}

}  // namespace batch71::faults
