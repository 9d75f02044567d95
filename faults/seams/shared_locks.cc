// Sees a program's mutexes: preloaded before the C library.
#include "faults/seams/shared_locks.h"

#include <dlfcn.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>

namespace {

using Unlock = int (*)(pthread_mutex_t*);
using Init = int (*)(pthread_mutex_t*, const pthread_mutexattr_t*);

// glibc's bit for PTHREAD_PROCESS_SHARED in the kind of a mutex; part of its ABI.
constexpr int kSharedBit = 128;

std::atomic<bool> has_shared{false};
std::atomic<void (*)(const void*)> next_call{nullptr};
const void* next_argument = nullptr;

template <typename Function>
Function next(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

bool is_shared(const pthread_mutex_t& mutex) { return (mutex.__data.__kind & kSharedBit) != 0; }

// FUTEX_WAKE says how many it woke; who wakes finds the mutex locked and waits on.
bool is_awaited(pthread_mutex_t& mutex) {
  return syscall(SYS_futex, &mutex.__data.__lock, FUTEX_WAKE, 1, nullptr, nullptr, 0) > 0;
}

// Nobody is told when another comes to wait: so it is asked for, again and again.
bool will_be_awaited(pthread_mutex_t& mutex) {
  constexpr int kTurns = 2'000;
  for (int turn = 0; turn < kTurns; ++turn) {
    if (is_awaited(mutex)) return true;
    poll(nullptr, 0, 1);
  }
  return false;
}

}  // namespace

extern "C" int user_has_shared_mutex() { return has_shared ? 1 : 0; }

extern "C" void user_call_before_shared_unlock(void (*call)(const void*), const void* argument) {
  next_argument = argument;
  next_call = call;
}

extern "C" int pthread_mutex_init(pthread_mutex_t* mutex,
                                  const pthread_mutexattr_t* attributes) noexcept {
  static const Init kInit = next<Init>("pthread_mutex_init");
  const int error = kInit(mutex, attributes);
  if (error == 0 && is_shared(*mutex)) has_shared = true;
  return error;
}

extern "C" int pthread_mutex_unlock(pthread_mutex_t* mutex) noexcept {
  static std::atomic<Unlock> unlock{nullptr};
  if (unlock == nullptr) unlock = next<Unlock>("pthread_mutex_unlock");
  if (next_call != nullptr && is_shared(*mutex) && will_be_awaited(*mutex)) {
    const auto call = next_call.exchange(nullptr);
    if (call != nullptr) call(next_argument);
  }
  return unlock.load()(mutex);
}
