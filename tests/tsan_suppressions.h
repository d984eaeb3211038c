// What ThreadSanitizer must not report: Debian's librocksdb is not instrumented, so its locks are
// invisible and its group commit, which copies one thread's batch in another, looks like a race.
// Include in one source file of a program.
#pragma once

#if defined(__SANITIZE_THREAD__)
extern "C" const char* __tsan_default_suppressions();

extern "C" const char* __tsan_default_suppressions() {
  return "race:librocksdb\nmutex:librocksdb\n";
}
#endif
