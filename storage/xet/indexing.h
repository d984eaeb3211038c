// Making the indexes of Xet (index.h) of what is stored: a job of its own, "xet", for the files of
// a revision that are to have one.
//
// When: after a revision arrived, behind its scan, and when somebody asks for a file that has none
// yet (it came before the setting changed). Not while it arrives, because reading, cutting and
// hashing take a second or two per gigabyte, and plain HTTP is served meanwhile; not while a client
// waits either, because a file large enough to need Xet takes minutes. So a file is offered by Xet
// from the moment that its index is there. A run that is stopped starts that file again.
//
// Thread-safe. Errors: Corrupt (the object does not have its digest: it gets no index), NotFound,
// Cancelled, Unsupported (a store that keeps no indexes), Io.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "storage/catalog.h"
#include "storage/jobs.h"
#include "storage/store.h"
#include "storage/xet/index.h"

namespace holdfast::storage::xet {

inline constexpr std::string_view kIndexJob = "xet";

// Files of LFS with content; Xet is upstream's successor of that, and holds nothing else.
bool is_indexable(const FileRecord& file, std::uint64_t size_bytes_min) noexcept;

// Those of a revision that are to have an index and have none, one for each object.
std::vector<FileRecord> files_without_index(Store& store, const RepoId& repo, const GitOid& commit,
                                            std::uint64_t size_bytes_min);

// Queues the job for a revision, once.
void ask_for_index(Store& store, const RepoId& repo, const GitOid& commit);

// The job's body: parameters "repo" and "commit". Gives {"files", "bytes"}: what was indexed.
Json::Object index_revision(Store& store, const Job& job, std::uint64_t size_bytes_min,
                            JobContext& context);

}  // namespace holdfast::storage::xet
