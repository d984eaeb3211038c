// The key grammar of the catalog (storage/FORMAT.md). Parts are separated by NUL, which no part can
// contain: repository ids are checked names, paths and ref names with a NUL are refused here.
// Fixed-width parts (digests, git ids, big-endian numbers) stand first and need no separator.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "storage/base/digest.h"
#include "storage/repo_id.h"

namespace holdfast::storage::keys {

std::string object(const Digest& digest);  // 32 raw bytes
std::string git(const GitOid& oid);        // 20 raw bytes

// ref: who keeps an object alive.
std::string reference(const Digest& digest, const RepoId& repo, const GitOid& commit,
                      std::string_view path);
// The prefix of those of one repository.
std::string references(const Digest& digest, const RepoId& repo);

// tree, fact, hole: REPO NUL COMMIT NUL TEXT. An empty text gives the prefix of a revision's rows.
std::string of_revision(const RepoId& repo, const GitOid& commit, std::string_view text);

// evidence: REPO NUL COMMIT.
std::string evidence(const RepoId& repo, const GitOid& commit);

// head: five kinds of rows.
std::string repository(std::string_view id_prefix);  // "repository" NUL REPO
std::string revision(const RepoId& repo, std::string_view commit_prefix);
std::string ref(const RepoId& repo, std::string_view name);
inline constexpr std::string_view kRevisions{"revision\0", 9};
std::string changed(std::string_view repo);   // "changed" NUL REPO
std::string change(std::string_view number);  // "change" NUL NUMBER64

// gc: an object's file that is on its way out.
std::string condemned(const Digest& digest, std::uint64_t generation);

// lease: rows by key, and their order of expiry.
std::string lease(std::string_view key);
std::string lease_expiry(std::uint64_t expires_ms, std::string_view key);
inline constexpr std::string_view kLeases{"key\0", 4};
inline constexpr std::string_view kLeaseExpiries{"expiry\0", 7};

// job: rows by number, log lines by job and line number.
std::string job(std::uint64_t id);
std::string job_log(std::uint64_t id);
std::string job_log_line(std::uint64_t id, std::uint64_t line);
inline constexpr std::string_view kJobs{"job\0", 4};

// audit: time in milliseconds, then a store-wide number.
std::string audit(std::uint64_t time_ms, std::uint64_t number);

// xet: an object's index by the object, by the file's hash (32 raw bytes), and the chunks of its
// xorbs by their number.
std::string xet_object(const Digest& object);
std::string xet_file(std::string_view hash);
std::string xet_xorbs(const Digest& object);
std::string xet_xorb(const Digest& object, std::uint64_t number);

std::string big_endian(std::uint64_t value);
std::uint64_t parse_big_endian(std::string_view bytes) noexcept;

}  // namespace holdfast::storage::keys
