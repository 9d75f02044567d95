// What libuser_locks.so sees of mutexes; linked before the C library here, as it is when preloaded.
#include "faults/seams/shared_locks.h"

#include <gtest/gtest.h>
#include <pthread.h>

#include <atomic>
#include <thread>

namespace {

std::atomic<int> calls{0};
void count(const void* /*argument*/) { ++calls; }

class Mutex {
 public:
  explicit Mutex(int shared) {
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, shared);
    pthread_mutex_init(&mutex_, &attributes);
  }
  void lock() { pthread_mutex_lock(&mutex_); }
  void unlock() { pthread_mutex_unlock(&mutex_); }

 private:
  pthread_mutex_t mutex_{};
};

// Unlocks it while another thread waits for it, or is about to.
void unlock_awaited(Mutex& mutex) {
  mutex.lock();
  std::thread other([&] {
    mutex.lock();
    mutex.unlock();
  });
  mutex.unlock();
  other.join();
}

TEST(SharedLocks, AreThoseThatWereMadeSo) {
  Mutex own(PTHREAD_PROCESS_PRIVATE);
  EXPECT_EQ(user_has_shared_mutex(), 0);
  Mutex shared(PTHREAD_PROCESS_SHARED);
  EXPECT_NE(user_has_shared_mutex(), 0);
}

TEST(SharedLocks, CallComesOnceWhileAnotherWaits) {
  Mutex own(PTHREAD_PROCESS_PRIVATE);
  Mutex shared(PTHREAD_PROCESS_SHARED);
  calls = 0;
  user_call_before_shared_unlock(count, nullptr);
  unlock_awaited(own);
  EXPECT_EQ(calls, 0) << "of a mutex that is not shared";
  shared.lock();
  shared.unlock();
  EXPECT_EQ(calls, 0) << "though nobody waits";
  unlock_awaited(shared);
  EXPECT_EQ(calls, 1);
  unlock_awaited(shared);
  EXPECT_EQ(calls, 1) << "a second time";
}

}  // namespace
