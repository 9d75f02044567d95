// A gate to be killed: its strikes, a deaf worker and a hung forward, stay live until somebody acts.
#include "fixtures/gate.h"

int main() {
  batch71::fixtures::GateOptions options;
  options.topology = batch71::fixtures::parse_topology("w2.k1.b4.in_order.n12");
  options.only = {"worker_unkillable", "forward_hang", "worker_unkillable@rank=0,batch=2"};
  options.with_controls = false;
  return batch71::fixtures::run_gate(options);
}
