// libuser_hooks.so: the same code for a loader in any language, by a C interface.
#include <cstdint>

#include "faults/seams/user_hooks.h"

namespace {

const user::Hooks& hooks() {
  static const user::Hooks kHooks = user::Hooks::from_environment();
  return kHooks;
}

}  // namespace

// May throw, as any user's code.
extern "C" void user_sample(int64_t index) { hooks().sample(index); }
extern "C" void user_step(int64_t batch) { hooks().step(batch); }
