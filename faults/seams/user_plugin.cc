// libuser_hooks.so: the same code for a loader in any language, by a C interface.
#include <cstdint>

#include "faults/seams/user_hooks.h"

namespace {

user::Hooks& hooks() {
  static user::Hooks hooks = user::Hooks::from_environment();
  return hooks;
}

}  // namespace

extern "C" void user_set_epoch(int64_t epoch) { hooks().set_epoch(epoch); }
// May throw, as any user's code.
extern "C" void user_sample(int64_t index) { hooks().sample(index); }
extern "C" void user_step(int64_t batch) { hooks().step(batch); }
// Not 0: that loss is to become NaN.
extern "C" int user_loss(int64_t batch) { return hooks().loss(batch) ? 1 : 0; }
