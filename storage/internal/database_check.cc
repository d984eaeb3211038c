// The files of the catalog's database, block by block.
#include <filesystem>
#include <vector>

#include <rocksdb/metadata.h>
#include <rocksdb/options.h>
#include <rocksdb/sst_file_reader.h>

#include "storage/internal/database.h"

namespace holdfast::storage {

std::vector<Database::DamagedTable> Database::find_damaged_tables() const {
  std::vector<rocksdb::LiveFileMetaData> files;
  db_->GetLiveFilesMetaData(&files);
  std::vector<DamagedTable> damaged;
  for (const rocksdb::LiveFileMetaData& file : files) {
    const std::filesystem::path path = path_ / std::filesystem::path(file.name).filename();
    rocksdb::Options options;
    options.env = db_->GetEnv();
    rocksdb::SstFileReader reader(options);
    rocksdb::Status status = reader.Open(path.string());
    if (status.ok()) status = reader.VerifyChecksum();
    if (status.ok()) continue;
    // A compaction may have made another file of it meanwhile.
    if (!std::filesystem::exists(path)) continue;
    damaged.push_back({.file = path.filename().string(),
                       .family = file.column_family_name,
                       .reason = status.ToString(),
                       .rows = file.num_entries});
  }
  return damaged;
}

}  // namespace holdfast::storage
