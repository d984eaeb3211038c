// A commit as the hub's clients send it: one JSON object a line, the header first
// (hub-protocol 3.5). Lines are read as they come, so that a commit costs the memory of its longest
// line, and all commits together have a bound; the files in them are stored on the way and become
// visible with the last one.
#include <algorithm>

#include "web/base64.h"
#include "web/internal/answers.h"
#include "web/internal/commit.h"
#include "web/internal/lfs_upload.h"
#include "web/internal/request_json.h"
#include "web/internal/write_access.h"
#include "web/limits.h"
#include "web/memory_budget.h"
#include "web/repo_path.h"

namespace holdfast::web {
namespace {

// "main" and "refs/heads/main" are branches; nothing else can be committed to.
std::string branch_ref(const Call& call) {
  const std::string& revision = call.match.revision;
  constexpr std::string_view kHeads = "refs/heads/";
  if (call.query.flag("create_pr") || revision.starts_with("refs/pr/")) {
    refuse(403, "", "pull requests are not kept here: commit to a branch");
  }
  return revision.starts_with(kHeads) ? revision : std::string(kHeads) + revision;
}

class CommitReceiver final : public Receiver {
 public:
  CommitReceiver(const Call& call, storage::RepositoryRecord repository)
      : services_(call.services),
        small_(call.services.store.blobs()),
        held_(call.services.commit_lines) {
    request_.author = author_of(call);
    const std::string page = page_path(services_, repository.id);
    page_url_ = base_url(call) + page.substr(base_path(services_).size());
    request_.ref = branch_ref(call);
    request_.repository = std::move(repository);
    if (!services_.store.catalog().resolve(request_.repository.id, request_.ref)) {
      refuse(404, "RevisionNotFound", "Invalid rev id: " + request_.ref);
    }
  }

  void put(std::span<const std::byte> bytes) override {
    std::string_view rest = as_text(bytes);
    taken_bytes_ += rest.size();
    if (taken_bytes_ > kCommitBytesMax) refuse(413, "", "commit: too large for one request");
    while (!rest.empty()) {
      const auto end = rest.find('\n');
      const auto piece = rest.substr(0, end);
      if (line_.size() + piece.size() > kCommitLineMax) {
        refuse(413, "",
               "commit: line " + std::to_string(lines_ + 1) + ": larger than " +
                   std::to_string(kCommitLineMax) + " bytes: send the file by git-lfs");
      }
      if (!held_.take(piece.size())) refuse_busy();
      line_.append(piece);
      if (end == rest.npos) return;
      take_line();
      rest.remove_prefix(end + 1);
    }
  }

  Response finish() override {
    take_line();
    if (request_.message.empty()) refuse(400, "", "commit: the header's line is missing");
    small_.flush();
    const std::string commit = to_hex(commit_edits(services_, request_));
    return json_response(Json::Object{{"success", true},
                                      {"commitOid", commit},
                                      {"commitUrl", page_url_ + "/commit/" + commit},
                                      {"hookOutput", ""}});
  }

 private:
  void take_line() {
    const std::string line = std::exchange(line_, {});
    if (line.find_first_not_of(" \t\r") == line.npos) return held_.give_back();
    const std::string name = "commit: line " + std::to_string(++lines_);
    read_json(line, name, kCommitLineMax, [&](const Json& json) {
      const Json* value = json.find("value");
      if (value == nullptr) refuse(400, "", name + ": expected a key and a value");
      take(text_member(json, "key"), *value, name);
      return true;
    });
    held_.give_back();
  }

  [[noreturn]] static void refuse_busy() {
    constexpr std::string_view kText = "Too many commits at once: try again";
    Response response = error_response(503, "", kText);
    response.set("Retry-After", std::to_string(kBusyPause.count()));
    throw Refusal(ErrorKind::Unavailable, std::string(kText), std::move(response));
  }

  // Looked at as it comes, so that nothing long is kept for the end.
  static std::string checked_path(std::string path) {
    if (const auto problem = problem_of_path(path); !problem.empty()) {
      refuse(400, "", "path \"" + path.substr(0, 200) + "\": " + std::string(problem));
    }
    return path;
  }

  static std::string path_of(const Json& value) { return checked_path(text_member(value, "path")); }

  // "" where nothing is moved.
  static std::string old_path_of(const Json& value) {
    std::string path = text_member(value, "oldPath");
    return path.empty() ? path : checked_path(std::move(path));
  }

  void take(const std::string& key, const Json& value, const std::string& name) {
    struct Row {
      std::string_view key;
      void (CommitReceiver::*take)(const Json& value);
    };

    constexpr Row kRows[] = {
        {"header", &CommitReceiver::take_header},
        {"file", &CommitReceiver::take_file},
        {"lfsFile", &CommitReceiver::take_lfs_file},
        {"deletedFile", &CommitReceiver::take_deleted_file},
        {"deletedFolder", &CommitReceiver::take_deleted_folder},
    };
    const auto* row = std::ranges::find(kRows, key, &Row::key);
    if (row == std::end(kRows)) refuse(400, "", name + ": key \"" + key + "\" is not known");
    if ((key == "header") != request_.message.empty()) {
      refuse(400, "", name + ": expected the header first, and once");
    }
    if (request_.edits.size() == kCommitEditsMax) refuse(413, "", "commit: too many operations");
    (this->*row->take)(value);
  }

  void take_header(const Json& value) {
    std::string title = text_member(value, "summary");
    const std::string description = text_member(value, "description");
    std::ranges::replace(title, '\n', ' ');
    if (title.find_first_not_of(" \t\r") == title.npos) refuse(400, "", "summary: expected a text");
    request_.message = title + (description.empty() ? "" : "\n\n" + description);
    if (request_.message.size() > kCommitMessageMax ||
        request_.message.find('\0') != std::string::npos) {
      refuse(400, "", "summary, description: too long, or with a NUL");
    }
    const std::string parent = text_member(value, "parentCommit");
    if (parent.empty()) return;
    request_.parent = services_.store.catalog().resolve(request_.repository.id, parent);
    if (!request_.parent) refuse(412, "", "parentCommit: no such commit here: " + parent);
  }

  void take_file(const Json& value) {
    std::string path = path_of(value);
    const std::string encoding = text_member(value, "encoding", "utf-8");
    std::string content = text_member(value, "content");
    if (encoding == "base64") {
      auto decoded = decode_base64(content);
      if (!decoded) refuse(400, "", "\"" + path + "\": content: expected base64");
      content = *std::move(decoded);
    } else if (encoding != "utf-8") {
      refuse(400, "", "\"" + path + "\": encoding: expected base64 or utf-8");
    }
    const std::string old_path = old_path_of(value);
    const bool has_content = value.find("content") != nullptr;
    if (!has_content && old_path.empty()) {
      refuse(400, "", "\"" + path + "\": content: expected a text, found nothing");
    }
    if (!has_content) {
      request_.edits.push_back({.kind = Edit::Kind::File, .path = path, .old_path = old_path});
      return;
    }
    if (!old_path.empty()) {
      request_.edits.push_back({.kind = Edit::Kind::Delete, .path = old_path});
    }
    request_.edits.push_back(small_.add(std::move(path), std::move(content)));
  }

  void take_lfs_file(const Json& value) {
    Edit edit{
        .kind = Edit::Kind::LargeFile, .path = path_of(value), .old_path = old_path_of(value)};
    if (edit.old_path.empty()) find_object(value, edit);
    request_.edits.push_back(std::move(edit));
  }

  void find_object(const Json& value, Edit& edit) const {
    const std::string oid = text_member(value, "oid");
    const auto digest = parse_digest(oid);
    if (!digest || text_member(value, "algo", "sha256") != "sha256") {
      refuse(400, "", "\"" + edit.path + "\": oid: expected a SHA-256, found \"" + oid + "\"");
    }
    const auto size = find_reusable(services_, request_.repository.id, *digest);
    if (!size) refuse(400, "", "\"" + edit.path + "\": object " + oid + " was not uploaded");
    const Json* said = value.find("size");
    if (said != nullptr && said->as_uint("size") != *size) {
      refuse(400, "", "\"" + edit.path + "\": size: expected " + std::to_string(*size));
    }
    edit.object = *digest;
    edit.size_bytes = *size;
  }

  void take_deleted_file(const Json& value) {
    request_.edits.push_back({.kind = Edit::Kind::Delete, .path = path_of(value)});
  }

  void take_deleted_folder(const Json& value) {
    std::string path = text_member(value, "path");
    while (path.ends_with('/')) path.pop_back();
    request_.edits.push_back(
        {.kind = Edit::Kind::DeleteFolder, .path = checked_path(std::move(path))});
  }

  const Services& services_;
  SmallFiles small_;
  std::string page_url_;
  CommitRequest request_;
  BudgetShare held_;  // for the line that is coming
  std::string line_;
  std::size_t lines_ = 0;
  std::uint64_t taken_bytes_ = 0;
};

}  // namespace

std::unique_ptr<Receiver> receive_commit(const Call& call) {
  return std::make_unique<CommitReceiver>(call, find_writable_repository(call));
}

}  // namespace holdfast::web
