#include "web/internal/file_answer.h"

#include "web/internal/answers.h"
#include "web/range.h"

namespace holdfast::web {
namespace {

// Of a HEAD a range means nothing (RFC 9110, section 14.2).
std::string_view asked_range(const Request& request) noexcept {
  return request.method == "HEAD" ? std::string_view() : request.header("Range");
}

// The JavaScript client probes every file with this range and takes 416 for a failure; an empty
// file answers with its size instead (hub-protocol 2.8).
bool is_probe_of_empty(std::string_view range, const FileVersion& version) noexcept {
  return version.size_bytes == 0 && range == "bytes=0-0";
}

// Of an answer with a file, beside its ready lines: the range, the request's id, what the session
// adds.
constexpr std::size_t kHeadersUsual = 4;

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
  const std::string_view header = asked_range(request);
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
  response.headers.reserve(kHeadersUsual);
  response.header_lines = {version, &version->headers};
  if (choice.status == 206) {
    if (!version->part_headers.empty()) response.header_lines = {version, &version->part_headers};
    response.set("Content-Range", content_range(choice.range, version->size_bytes));
  } else if (is_probe_of_empty(asked_range(request), *version)) {
    response.set("Content-Range", content_range_unsatisfied(0));
  }
  return response;
}

}  // namespace

void add_header_line(std::string& lines, std::string_view name, std::string_view value) {
  lines.append(name).append(": ").append(value).append("\r\n");
}

std::string_view cache_control(const FileVersion& version) noexcept {
  return version.by_commit ? "max-age=31536000, immutable" : "no-cache";
}

Response answer_file(const Request& request, const std::shared_ptr<const HotFile>& file) {
  const Choice choice = choose(request, file->version);
  Response response = start_answer(request, {file, &file->version}, choice);
  if (choice.status < 300) {
    response.body = ObjectSlice{.reader = file->reader, .range = choice.range};
  }
  return response;
}

Response answer_text(const Request& request, const std::shared_ptr<const FileVersion>& version,
                     std::string_view bytes) {
  const Choice choice = choose(request, *version);
  Response response = start_answer(request, version, choice);
  if (choice.status < 300) {
    response.body = std::string(bytes.substr(choice.range.offset, choice.range.length));
  }
  return response;
}

}  // namespace holdfast::web
