// What changed from one revision to another (hub-protocol 2.9): git's raw diff as the hub writes
// it, read by huggingface/hf-hub's diff.rs: one line a file,
//   {B|T} SIZE TAB :OLDMODE NEWMODE OLDBLOB... NEWBLOB... {A|D|M|T} TAB PATH
// where B is binary and T text (LFS files are their pointers), and SIZE that of the newer content.
#include <algorithm>
#include <array>
#include <map>

#include <fmt/format.h>

#include "storage/git/objects.h"
#include "web/internal/answers.h"
#include "web/internal/listing.h"
#include "web/limits.h"

namespace holdfast::web {
namespace {

using storage::FileRecord;

// As git looks for a NUL.
constexpr std::uint64_t kLookedAtBytes = 8000;
constexpr std::uint32_t kTypeBits = 0170000;

[[noreturn]] void refuse_revision(std::string_view name) {
  refuse(404, "RevisionNotFound", "Invalid rev id: " + std::string(name));
}

// Nothing: before the first commit.
std::optional<GitOid> resolve(const Call& call, const storage::RepoId& id, std::string_view name) {
  const auto& catalog = call.services.store.catalog();
  const bool parent = name.ends_with('^');
  const auto commit = catalog.resolve(id, parent ? name.substr(0, name.size() - 1) : name);
  if (!commit) refuse_revision(name);
  if (!parent) return commit;
  const auto revision = catalog.find_revision(id, *commit);
  const auto object = revision ? catalog.find_git_object(revision->git_commit) : std::nullopt;
  if (!object || object->type != "commit") refuse_revision(name);
  const auto parents = storage::git::parse_commit(object->bytes).parents;
  if (parents.empty()) return std::nullopt;
  if (!catalog.find_revision(id, parents.front())) refuse_revision(name);
  return parents.front();
}

struct Span {
  std::string base, head;
};

// "main..v1"; three dots are taken for two: a mirror's revisions are not merged.
Span parse_span(const std::string& text) {
  const auto dots = text.find("..");
  const auto head = text.find_first_not_of('.', dots == text.npos ? text.size() : dots);
  if (dots == 0 || head == text.npos) {
    refuse(400, "", "compare: expected BASE..HEAD, found \"" + text + "\"");
  }
  return {.base = text.substr(0, dots), .head = text.substr(head)};
}

bool is_binary(const Call& call, const FileRecord& file) {
  if (file.lfs || !file.object || file.size_bytes == 0) return false;
  const auto reader = call.services.store.blobs().open(*file.object);
  std::string head(std::min(file.size_bytes, kLookedAtBytes), '\0');
  reader->read(0, std::as_writable_bytes(std::span(head)));
  return head.find('\0') != head.npos;
}

std::string line_of(const Call& call, const FileRecord* before, const FileRecord* after) {
  const FileRecord& newest = after != nullptr ? *after : *before;
  const auto mode = [](const FileRecord* file) { return file == nullptr ? 0U : file->mode; };
  const auto blob = [](const FileRecord* file) {
    return to_hex(file == nullptr ? GitOid{} : file->blob);
  };
  const char status = before == nullptr                                         ? 'A'
                      : after == nullptr                                        ? 'D'
                      : (before->mode & kTypeBits) != (after->mode & kTypeBits) ? 'T'
                                                                                : 'M';
  return fmt::format("{} {}\t:{:06o} {:06o} {}... {}... {}\t{}\n",
                     is_binary(call, newest) ? 'B' : 'T', newest.size_bytes, mode(before),
                     mode(after), blob(before), blob(after), status, newest.path);
}

using Files = std::map<std::string, FileRecord>;

Files files_of(const Call& call, const storage::RepoId& id, const std::optional<GitOid>& commit) {
  Files files;
  if (!commit) return files;
  for (FileRecord& file :
       stored_files(call.services.store.catalog(), {.id = id, .commit = *commit}))
    files.emplace(file.path, std::move(file));
  return files;
}

}  // namespace

Response compare_revisions(const Call& call) {
  const storage::RepoId id = find_repository(call).id;
  if (!call.query.flag("raw")) {
    refuse(400, "",
           "compare: only ?raw=true is answered here: which files changed, not their text");
  }
  const Span span = parse_span(call.match.path);
  Files before = files_of(call, id, resolve(call, id, span.base));
  const Files after = files_of(call, id, resolve(call, id, span.head));
  std::map<std::string, std::string> lines;
  for (const auto& [path, file] : after) {
    const auto old = before.find(path);
    const FileRecord* was = old == before.end() ? nullptr : &old->second;
    const bool same = was != nullptr && was->blob == file.blob && was->mode == file.mode;
    if (!same) lines.emplace(path, line_of(call, was, &file));
    if (was != nullptr) before.erase(old);
  }
  for (const auto& [path, file] : before) lines.emplace(path, line_of(call, &file, nullptr));
  Response response;
  std::string text;
  for (const auto& [path, line] : lines) text += line;
  response.set("Content-Type", "text/plain; charset=utf-8");
  response.body = std::move(text);
  return response;
}

}  // namespace holdfast::web
