#include "storage/internal/catalog_rows.h"

#include <utility>

#include "storage/base/error.h"
#include "storage/internal/row.h"

namespace holdfast::storage {
namespace {

constexpr std::uint8_t kFileLfs = 1;
constexpr std::uint8_t kFileHasObject = 2;
constexpr std::uint8_t kGitInline = 0;
constexpr std::uint8_t kGitAlias = 1;

void write_list(RowWriter& row, const std::vector<std::string>& list) {
  row.number(list.size());
  for (const std::string& text : list) row.text(text);
}

std::vector<std::string> read_list(RowReader& row) {
  std::vector<std::string> list;
  for (std::uint64_t left = row.number(); left > 0; --left) list.emplace_back(row.text());
  return list;
}

}  // namespace

std::string encode_repository(const RepositoryRecord& record) {
  RowWriter row;
  row.text(to_text(record.id)).text(record.origin).text(record.default_branch).text(record.gated);
  row.time(record.created_at).time(record.updated_at).text(to_text(Json(record.upstream_info)));
  return row.take();
}

RepositoryRecord decode_repository(std::string_view bytes) {
  RowReader row(bytes, "repository row");
  RepositoryRecord record;
  record.id = parse_repo_id(row.text());
  record.origin = row.text();
  record.default_branch = row.text();
  record.gated = row.text();
  record.created_at = row.time();
  record.updated_at = row.time();
  record.upstream_info = parse_json(row.text(), "repository row").as_object("repository row");
  return record;
}

std::string encode_revision(const RevisionRecord& record) {
  RowWriter row;
  row.oid(record.commit).oid(record.git_commit).oid(record.tree);
  row.time(record.time).time(record.stored_at).text(record.title);
  write_list(row, record.selection.include);
  write_list(row, record.selection.exclude);
  return row.take();
}

RevisionRecord decode_revision(std::string_view bytes) {
  RowReader row(bytes, "revision row");
  RevisionRecord record;
  record.commit = row.oid();
  record.git_commit = row.oid();
  record.tree = row.oid();
  record.time = row.time();
  record.stored_at = row.time();
  record.title = row.text();
  record.selection.include = read_list(row);
  record.selection.exclude = read_list(row);
  return record;
}

std::string encode_file(const FileRecord& record) {
  RowWriter row;
  row.byte(static_cast<std::uint8_t>((record.lfs ? kFileLfs : 0) |
                                     (record.object ? kFileHasObject : 0)));
  row.number(record.mode).number(record.size_bytes).number(record.pointer_bytes).oid(record.blob);
  if (record.object) row.digest(*record.object);
  return row.take();
}

FileRecord decode_file(std::string_view path, std::string_view bytes) {
  RowReader row(bytes, "tree row");
  FileRecord record{.path = std::string(path)};
  const std::uint8_t flags = row.byte();
  record.lfs = (flags & kFileLfs) != 0;
  record.mode = static_cast<std::uint32_t>(row.number());
  record.size_bytes = row.number();
  record.pointer_bytes = row.number();
  record.blob = row.oid();
  if ((flags & kFileHasObject) != 0) record.object = row.digest();
  return record;
}

std::string encode_oid(const GitOid& commit) { return RowWriter().oid(commit).take(); }

GitOid decode_oid(std::string_view row) { return RowReader(row, "ref row").oid(); }

std::string encode_git(const GitObjectRecord& record) {
  return RowWriter().byte(kGitInline).text(record.type).raw(record.bytes).take();
}

std::string encode_git_alias(const Digest& object) {
  return RowWriter().byte(kGitAlias).digest(object).take();
}

GitRow decode_git(std::string_view bytes) {
  RowReader row(bytes, "git row");
  if (row.byte() == kGitAlias) return {.same_bytes = row.digest()};
  GitObjectRecord object{.type = std::string(row.text())};
  object.bytes = row.rest();
  return {.object = std::move(object)};
}

std::string encode_hole(const Hole& hole) {
  return RowWriter().time(hole.since).text(hole.reason).take();
}

Hole decode_hole(std::string_view key, std::string_view bytes) {
  const std::size_t repo_end = key.find('\0');
  const std::size_t commit_end = key.find('\0', repo_end + 1);
  const auto commit = parse_git_oid(key.substr(repo_end + 1, commit_end - repo_end - 1));
  if (commit_end == key.npos || !commit)
    fail(ErrorKind::Corrupt, "hole row: expected repository, commit and path in its key");
  RowReader row(bytes, "hole row");
  Hole hole{.repo = parse_repo_id(key.substr(0, repo_end)), .commit = *commit};
  hole.path = key.substr(commit_end + 1);
  hole.since = row.time();
  hole.reason = row.text();
  return hole;
}

}  // namespace holdfast::storage
