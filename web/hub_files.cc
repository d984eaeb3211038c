// The bytes of files: /{repo}/resolve/{rev}/{path} and /{repo}/raw/{rev}/{path} (hub-protocol 2).
#include "web/hot_files.h"
#include "web/internal/answers.h"
#include "web/internal/media_type.h"
#include "web/range.h"

namespace holdfast::web {
namespace {

// The last part of the path as RFC 6266 wants it: the plain form for old clients, with what would
// end or escape the quotes replaced, and the encoded form for everyone else.
std::string content_disposition(std::string_view path, bool attachment) {
  const std::string_view name = path.substr(path.rfind('/') + 1);
  std::string plain;
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    plain += byte < 0x20 || byte >= 0x7f || c == '"' || c == '\\' ? '_' : c;
  }
  return std::string(attachment ? "attachment" : "inline") + "; filename*=UTF-8''" +
         percent_encode(name) + "; filename=\"" + plain + "\";";
}

std::string_view cache_control(const FileVersion& version) noexcept {
  return version.by_commit ? "public, max-age=31536000, immutable" : "no-cache";
}

// The JavaScript client probes every file with this range and takes 416 for a failure; an empty
// file answers with its size instead (hub-protocol 2.8).
bool is_probe_of_empty(std::string_view range, const FileVersion& version) noexcept {
  return version.size_bytes == 0 && range == "bytes=0-0";
}

void add_line(std::string& lines, std::string_view name, std::string_view value) {
  lines.append(name).append(": ").append(value).append("\r\n");
}

// Nothing in these lines is the client's but the file's name, which is encoded.
FileVersion file_version(const Call& call, const RevisionAt& at, const std::string& etag,
                         std::uint64_t size_bytes) {
  FileVersion version{.etag = "\"" + etag + "\"",
                      .commit = to_hex(at.commit),
                      .size_bytes = size_bytes,
                      .by_commit = at.by_commit,
                      .headers = {}};
  std::string& lines = version.headers;
  add_line(lines, "Content-Type", media_type(call.match.path));
  add_line(lines, "ETag", version.etag);
  add_line(lines, "X-Linked-ETag", version.etag);
  add_line(lines, "X-Linked-Size", std::to_string(size_bytes));
  add_line(lines, "X-Repo-Commit", version.commit);
  add_line(lines, "Accept-Ranges", "bytes");
  add_line(lines, "Content-Disposition",
           content_disposition(call.match.path, call.query.flag("download")));
  add_line(lines, "Cache-Control", cache_control(version));
  // A stored file is never a page of ours: no script, no form, no frame, whatever its type.
  add_line(lines, "Content-Security-Policy", "default-src 'none'; sandbox");
  return version;
}

// What of a file a request gets: 200, 206, 304 or 416.
struct Choice {
  int status = 200;
  storage::ByteRange range;  // of the body
};

// A client that keeps its copy keeps the commit with it (hub-protocol 2.9), so HEAD, by which
// clients follow a branch, always says where the branch is now.
bool has_it_already(const Request& request, const FileVersion& version) {
  if (request.method == "HEAD" && !version.by_commit) return false;
  return names_etag(request.header("If-None-Match"), version.etag);
}

// If-Range names the version that the client has a part of: a range of any other is no use to it.
bool may_use_range(const Request& request, const FileVersion& version) {
  const std::string_view if_range = request.header("If-Range");
  return if_range.empty() || if_range == version.etag;
}

Choice choose(const Request& request, const FileVersion& version) {
  const Choice whole{.status = 200, .range = {.offset = 0, .length = version.size_bytes}};
  if (has_it_already(request, version)) return {.status = 304, .range = {}};
  const std::string_view header = request.header("Range");
  if (header.empty() || !may_use_range(request, version)) return whole;
  if (is_probe_of_empty(header, version)) return whole;
  const RangeResult result = parse_range(header, version.size_bytes);
  if (result.kind == RangeKind::Unsatisfiable) return {.status = 416, .range = {}};
  return {.status = result.kind == RangeKind::Part ? 206 : 200, .range = result.range};
}

Response unsatisfied(const FileVersion& version) {
  Response refused = error_response(416, "", "Requested range is not satisfiable");
  refused.set("Content-Range", content_range_unsatisfied(version.size_bytes));
  refused.set("X-Repo-Commit", version.commit);
  refused.set("Accept-Ranges", "bytes");
  return refused;
}

Response not_modified(const FileVersion& version) {
  Response response;
  response.status = 304;
  response.set("ETag", version.etag);
  response.set("X-Linked-ETag", version.etag);
  response.set("X-Repo-Commit", version.commit);
  response.set("Cache-Control", std::string(cache_control(version)));
  return response;
}

// The answer but for its body, which is `choice.range` of the file when the status is 200 or 206.
Response start_answer(const Request& request, const std::shared_ptr<const FileVersion>& version,
                      const Choice& choice) {
  if (choice.status == 304) return not_modified(*version);
  if (choice.status == 416) return unsatisfied(*version);
  Response response;
  response.status = choice.status;
  response.header_lines = {version, &version->headers};
  if (choice.status == 206) {
    response.set("Content-Range", content_range(choice.range, version->size_bytes));
  } else if (is_probe_of_empty(request.header("Range"), *version)) {
    response.set("Content-Range", content_range_unsatisfied(0));
  }
  return response;
}

Response answer_file(const Request& request, const std::shared_ptr<const HotFile>& file) {
  const Choice choice = choose(request, file->version);
  Response response = start_answer(request, {file, &file->version}, choice);
  if (choice.status < 300) {
    response.body = ObjectSlice{.reader = file->reader, .range = choice.range};
  }
  return response;
}

}  // namespace

Response resolve_file(const Call& call) {
  const auto generation = call.services.store.generation();
  const RevisionAt at = find_revision(call);
  const auto record = call.services.store.catalog().find_file(at.id, at.commit, call.match.path);
  if (!record) refuse_entry(at, false);
  if (!record->object) refuse_entry(at, true);
  auto file = std::make_shared<HotFile>();
  file->reader = call.services.store.blobs().open(*record->object);
  file->version = file_version(call, at, record->etag(), file->reader->size_bytes());
  file->route = call.match.route->name;
  if (call.services.hot_files != nullptr) {
    call.services.hot_files->put(call.request.target, generation, file);
  }
  return answer_file(call.request, file);
}

Response raw_file(const Call& call) {
  const RevisionAt at = find_revision(call);
  const auto& catalog = call.services.store.catalog();
  const auto record = catalog.find_file(at.id, at.commit, call.match.path);
  if (!record) refuse_entry(at, false);
  if (!record->lfs) return resolve_file(call);
  // Raw means what git holds: the pointer, not the file.
  auto pointer = catalog.find_git_object(record->blob);
  if (!pointer) refuse_entry(at, true);
  const auto version = std::make_shared<const FileVersion>(
      file_version(call, at, to_hex(record->blob), pointer->bytes.size()));
  const Choice choice = choose(call.request, *version);
  Response response = start_answer(call.request, version, choice);
  if (choice.status < 300) {
    response.body = pointer->bytes.substr(choice.range.offset, choice.range.length);
  }
  return response;
}

std::optional<Response> answer_hot_file(const Request& request, const Services& services) {
  if (services.hot_files == nullptr) return std::nullopt;
  if (request.method != "GET" && request.method != "HEAD") return std::nullopt;
  const auto file = services.hot_files->find(request.target, services.store.generation());
  if (file == nullptr) return std::nullopt;
  Response response = answer_file(request, file);
  response.route = file->route;
  return response;
}

}  // namespace holdfast::web
