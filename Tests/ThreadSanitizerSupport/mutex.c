// Tells the thread sanitizer about contended locks of Swift's `Mutex`.
//
// The fast paths of `Mutex` are compiled into this program, so the sanitizer sees their atomic operations. The slow paths are in
// libswiftSynchronization.so, which isn't instrumented: there the kernel hands the lock over (FUTEX_LOCK_PI), and the sanitizer would
// report a data race between two threads that held the lock one after the other. The functions here have the names of those slow
// paths, so the program calls them instead; each one calls the original and tells the sanitizer what the original did.

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>

#define SWIFT __attribute__((swiftcall))
#define SELF __attribute__((swift_context))

void __tsan_acquire(void *address);
void __tsan_release(void *address);

static void *original(const char *name) { return dlsym(RTLD_NEXT, name); }

#define LOCK "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
#define TRY_LOCK "$s15Synchronization12_MutexHandleV12_tryLockSlowSbyF"
#define UNLOCK "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"

SWIFT void lock_slow(uint32_t thread, SELF void *mutex) __asm__(LOCK);
SWIFT bool try_lock_slow(SELF void *mutex) __asm__(TRY_LOCK);
SWIFT void unlock_slow(SELF void *mutex) __asm__(UNLOCK);

SWIFT void lock_slow(uint32_t thread, SELF void *mutex) {
  ((SWIFT void (*)(uint32_t, SELF void *))original(LOCK))(thread, mutex);
  __tsan_acquire(mutex);
}

SWIFT bool try_lock_slow(SELF void *mutex) {
  bool locked = ((SWIFT bool (*)(SELF void *))original(TRY_LOCK))(mutex);
  if (locked) __tsan_acquire(mutex);
  return locked;
}

SWIFT void unlock_slow(SELF void *mutex) {
  __tsan_release(mutex);
  ((SWIFT void (*)(SELF void *))original(UNLOCK))(mutex);
}

#endif
#endif
