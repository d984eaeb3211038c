// A copy of a store that Care::backup made, becoming a store again. The layout of such a copy is in
// storage/FORMAT.md. Thread-safe as long as nobody else changes either directory.
#pragma once

#include <filesystem>

#include "storage/base/clock.h"
#include "storage/base/json.h"
#include "storage/jobs.h"

namespace holdfast::storage {

struct RestoreOptions {
  std::filesystem::path backup;
  std::filesystem::path directory;       // of the store to be
  bool force = false;                    // even where there is one; what was there is kept aside
  const Clock* clock = &system_clock();  // borrowed
};

// Copies the backup below `directory`, reads every object and compares its SHA-256, checks the
// catalog against them, and only then makes it the store: at once, as far as anyone can see, for
// Store::open ends what was cut off amid that. The same call again goes on where a killed one was.
// With `force` the files of the old store end in `directory`/replaced-N, which is then free to be
// deleted.
// {directory, objects, bytes, replaced, findings: [{kind, name, text}]}: `replaced` is null or
// where the old store lies. An object without right bytes in the backup is a finding and counts as
// damaged in the store: the next sync of its repository fetches it again. Errors: NotFound (no
// backup there), Conflict (the directory holds other files, or the store in it is open), Corrupt
// (the backup's catalog is damaged: nothing was replaced), NoSpace, Io, Cancelled.
Json::Object restore(const RestoreOptions& options, JobContext& context);

}  // namespace holdfast::storage
