#include "storage/internal/keys.h"

#include <algorithm>
#include <initializer_list>

#include "storage/base/error.h"

namespace holdfast::storage::keys {
namespace {

constexpr std::string_view kSeparator{"\0", 1};

std::string join(std::initializer_list<std::string_view> parts) {
  std::string key;
  std::size_t size = 0;
  for (const std::string_view part : parts) size += part.size();
  key.reserve(size);
  for (const std::string_view part : parts) key.append(part);
  return key;
}

template <class Value>
std::string_view raw(const Value& value) noexcept {
  return as_text(std::as_bytes(std::span(value.bytes)));
}

std::string_view checked(std::string_view text) {
  if (text.find('\0') != text.npos)
    fail(ErrorKind::Invalid, "name \"" + std::string(text.substr(0, text.find('\0'))) +
                                 "\": expected no NUL byte, found one");
  return text;
}

}  // namespace

std::string object(const Digest& digest) { return std::string(raw(digest)); }

std::string git(const GitOid& oid) { return std::string(raw(oid)); }

std::string reference(const Digest& digest, const RepoId& repo, const GitOid& commit,
                      std::string_view path) {
  return join({raw(digest), to_text(repo), kSeparator, to_hex(commit), kSeparator, checked(path)});
}

std::string references(const Digest& digest, const RepoId& repo) {
  return join({raw(digest), to_text(repo), kSeparator});
}

std::string of_revision(const RepoId& repo, const GitOid& commit, std::string_view text) {
  return join({to_text(repo), kSeparator, to_hex(commit), kSeparator, checked(text)});
}

std::string evidence(const RepoId& repo, const GitOid& commit) {
  return join({to_text(repo), kSeparator, to_hex(commit)});
}

std::string repository(std::string_view id_prefix) {
  return join({"repository", kSeparator, id_prefix});
}

std::string revision(const RepoId& repo, std::string_view commit_prefix) {
  return join({"revision", kSeparator, to_text(repo), kSeparator, commit_prefix});
}

std::string ref(const RepoId& repo, std::string_view name) {
  return join({"ref", kSeparator, to_text(repo), kSeparator, checked(name)});
}

std::string changed(std::string_view repo) { return join({"changed", kSeparator, repo}); }

std::string change(std::string_view number) { return join({"change", kSeparator, number}); }

std::string condemned(const Digest& digest, std::uint64_t generation) {
  return join({raw(digest), big_endian(generation)});
}

std::string lease(std::string_view key) { return join({kLeases, key}); }

std::string lease_expiry(std::uint64_t expires_ms, std::string_view key) {
  return join({kLeaseExpiries, big_endian(expires_ms), key});
}

std::string job(std::uint64_t id) { return join({kJobs, big_endian(id)}); }

std::string job_log(std::uint64_t id) { return join({"log", kSeparator, big_endian(id)}); }

std::string job_log_line(std::uint64_t id, std::uint64_t line) {
  return join({job_log(id), big_endian(line)});
}

std::string audit(std::uint64_t time_ms, std::uint64_t number) {
  return join({big_endian(time_ms), big_endian(number)});
}

std::string xet_object(const Digest& object) { return join({"object", kSeparator, raw(object)}); }

std::string xet_file(std::string_view hash) { return join({"file", kSeparator, hash}); }

std::string xet_xorbs(const Digest& object) { return join({"xorb", kSeparator, raw(object)}); }

std::string xet_xorb(const Digest& object, std::uint64_t number) {
  return join({xet_xorbs(object), big_endian(number)});
}

std::string big_endian(std::uint64_t value) {
  std::string bytes(8, '\0');
  for (std::size_t i = 0; i < 8; ++i) bytes[i] = static_cast<char>(value >> (56 - 8 * i));
  return bytes;
}

std::uint64_t parse_big_endian(std::string_view bytes) noexcept {
  std::uint64_t value = 0;
  for (const char byte : bytes.substr(0, 8)) value = value << 8 | static_cast<unsigned char>(byte);
  return value;
}

}  // namespace holdfast::storage::keys
