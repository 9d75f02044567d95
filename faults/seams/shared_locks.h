// libuser_locks.so: a user's own code that acts while its process holds a mutex that processes share.
//
// Preloaded, it sees what a program does with pthread mutexes; programs find it by dlsym. C interface.
#pragma once

extern "C" {

// Not 0: this process, or one that it was forked from, has made a mutex that processes share.
int user_has_shared_mutex();

// `call` is called once: when this process is about to unlock a shared mutex for which somebody else waits
// in the kernel at that moment. It gives each unlock two seconds for somebody to come; if nobody does, the
// mutex is unlocked and the next unlock is tried. Shared are those mutexes alone that were made with
// PTHREAD_PROCESS_SHARED.
void user_call_before_shared_unlock(void (*call)(const void*), const void* argument);
}
