// Opening with the seams that tests need.
#pragma once

#include <memory>

#include "storage/backup.h"
#include "storage/internal/disk.h"
#include "storage/store.h"

namespace holdfast::storage {

// As Store::open, with the disk given; borrowed, outlives the store.
std::unique_ptr<Store> open_local_store(const StoreOptions& options, const Disk& disk);

// As restore(), with the disk given; borrowed.
Json::Object restore_local_store(const RestoreOptions& options, JobContext& context,
                                 const Disk& disk);

}  // namespace holdfast::storage
