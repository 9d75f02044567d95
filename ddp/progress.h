// Where the training thread is: one call that tells both its trace and its watch.
#pragma once

#include "ddp/step_watch.h"
#include "trace/writer.h"

namespace batch71::ddp {

class Progress {
 public:
  Progress(trace::Writer& trace, StepWatch& watch) : trace_(trace), watch_(watch) {}

  void enter(trace::Event event, trace::Stage stage, int64_t arg0 = 0, int64_t arg1 = 0) {
    trace_.record(event, stage, arg0, arg1);
    watch_.enter(stage, trace_.place());
  }
  trace::Writer& trace() { return trace_; }
  StepWatch& watch() { return watch_; }

 private:
  trace::Writer& trace_;
  StepWatch& watch_;
};

}  // namespace batch71::ddp
