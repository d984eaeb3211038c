// Before an upload: which files go through git-lfs, and what is there already (hub-protocol 3.2).
#include <algorithm>
#include <optional>

#include "web/base64.h"
#include "web/git_attributes.h"
#include "web/git_ignore.h"
#include "web/internal/answers.h"
#include "web/internal/request_json.h"
#include "web/internal/write_access.h"
#include "web/limits.h"
#include "web/repo_path.h"

namespace holdfast::web {
namespace {

struct Candidate {
  std::string path;
  std::uint64_t size_bytes = 0;
  std::string sample;  // of its first bytes
};

struct Preupload {
  std::vector<Candidate> files;
  std::optional<std::string> attributes, ignore;  // the client is about to change them
};

Candidate read_candidate(const Json& json) {
  const Json* size = json.find("size");
  Candidate file{.path = text_member(json, "path"),
                 .size_bytes = size == nullptr ? 0 : size->as_uint("request body: files[].size")};
  auto sample = decode_base64(text_member(json, "sample"));
  if (!sample) refuse(400, "", "request body: files[].sample: expected base64");
  file.sample = *std::move(sample);
  if (const auto problem = problem_of_path(file.path); !problem.empty()) {
    refuse(400, "", "path \"" + file.path.substr(0, 200) + "\": " + std::string(problem));
  }
  return file;
}

std::optional<std::string> read_patterns(const Json& json, std::string_view key) {
  if (json.find(key) == nullptr) return std::nullopt;
  std::string text = text_member(json, key);
  if (text.size() > kAttributesMax) {
    refuse(413, "",
           "request body: " + std::string(key) + ": more than " + std::to_string(kAttributesMax) +
               " bytes");
  }
  return text;
}

Preupload read_preupload(const Json& json) {
  Preupload asked;
  asked.attributes = read_patterns(json, "gitAttributes");
  asked.ignore = read_patterns(json, "gitIgnore");
  const Json* files = json.find("files");
  if (files == nullptr) refuse(400, "", "request body: files: expected a list, found nothing");
  for (const Json& file : files->as_array("request body: files")) {
    if (asked.files.size() == kPreuploadMax) refuse(413, "", "request body: files: too many");
    asked.files.push_back(read_candidate(file));
  }
  return asked;
}

// Text has no NUL and no control characters but those of lines, tabs, pages and terminals.
bool is_text_sample(std::string_view sample) noexcept {
  return std::ranges::none_of(sample, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    constexpr unsigned char kEscape = 0x1b;
    return byte < 0x20 && (byte < '\b' || byte > '\r') && byte != kEscape;
  });
}

std::string stored_text(const Call& call, const RevisionAt& at, std::string_view path) {
  const auto file = call.services.store.catalog().find_file(at.id, at.commit, path);
  if (!file || !file->object || file->lfs) return "";
  return storage::read_object(call.services.store.blobs(), *file->object, kAttributesMax);
}

bool goes_through_lfs(const Candidate& file, const GitAttributes& attributes, PatternSteps& steps) {
  // Git reads the one itself, and takes a pointer to nothing for a damaged one.
  if (file.path == ".gitattributes" || file.size_bytes == 0) return false;
  return file.size_bytes > kRegularFileMax || attributes.is_lfs(file.path, steps) ||
         !is_text_sample(file.sample);
}

}  // namespace

Response preupload(const Call& call) {
  find_writable_repository(call);
  const RevisionAt at = find_revision(call);
  const Preupload asked = read_body(call, read_preupload);
  const auto text_of = [&](const std::optional<std::string>& given, std::string_view path) {
    return given ? *given : stored_text(call, at, path);
  };
  const GitAttributes attributes(text_of(asked.attributes, ".gitattributes"));
  const GitIgnore ignore(text_of(asked.ignore, ".gitignore"));
  Json::Array files;
  PatternSteps steps(kPatternStepsMax);
  for (const Candidate& file : asked.files) {
    const bool lfs = goes_through_lfs(file, attributes, steps);
    Json::Object entry{{"path", file.path},
                       {"uploadMode", lfs ? "lfs" : "regular"},
                       {"shouldIgnore", ignore.ignores(file.path, steps)}};
    const auto known = call.services.store.catalog().find_file(at.id, at.commit, file.path);
    if (known && known->object) entry.set("oid", known->etag());
    files.emplace_back(std::move(entry));
  }
  return json_response(Json::Object{{"files", std::move(files)}, {"commitOid", to_hex(at.commit)}});
}

// Current Python clients do not ask which way to upload: they ask for a token of Xet and give up
// without one (hub-protocol 3.3). So the refusal says what makes them go by git-lfs.
Response refuse_xet_write(const Call&) {
  return error_response(400, "",
                        "This hub takes no uploads by Xet. Set HF_HUB_DISABLE_XET=1 in the "
                        "environment (or uninstall hf_xet) and upload again: files then come by "
                        "git-lfs");
}

}  // namespace holdfast::web
