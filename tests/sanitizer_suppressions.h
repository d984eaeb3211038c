// What the sanitizers must not report of Debian's librocksdb 7.8. Include in one source file of a
// program.
#pragma once

// It is not instrumented, so its locks are invisible and its group commit, which copies one
// thread's batch in another, looks like a race. So do rows that a visitor of Database::scan reads
// where RocksDB keeps them, when the writer's own stack is too long ago to be known.
#if defined(__SANITIZE_THREAD__)
extern "C" const char* __tsan_default_suppressions();

extern "C" const char* __tsan_default_suppressions() {
  return "race:librocksdb\nmutex:librocksdb\nrace:holdfast::storage::Database::scan\n";
}
#endif

// Where the disk is too full for a new log, it loses the memtable that was to go with it.
#if defined(__SANITIZE_ADDRESS__)
extern "C" const char* __lsan_default_suppressions();

extern "C" const char* __lsan_default_suppressions() {
  return "leak:rocksdb::DBImpl::SwitchMemtable\n";
}
#endif
