// The bytes of files: /{repo}/resolve/{rev}/{path} and /{repo}/raw/{rev}/{path} (hub-protocol 2).
#include <algorithm>
#include <array>
#include <cctype>

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

std::string quoted(std::string_view etag) { return "\"" + std::string(etag) + "\""; }

// If-Range names the version that the client has a part of: a range of any other is no use to it.
bool may_use_range(const Request& request, std::string_view etag) {
  const std::string_view if_range = request.header("If-Range");
  return if_range.empty() || if_range == quoted(etag);
}

// The part of the body that the client asked for; writes the status and Content-Range of the
// answer.
storage::ByteRange take_range(const Call& call, std::string_view etag, std::uint64_t size_bytes,
                              Response& response) {
  const storage::ByteRange whole{.offset = 0, .length = size_bytes};
  const std::string_view header = call.request.header("Range");
  if (header.empty() || !may_use_range(call.request, etag)) return whole;
  // The JavaScript client probes every file with this range and takes 416 for a failure; an empty
  // file answers with its size instead (hub-protocol 2.8).
  if (size_bytes == 0 && header == "bytes=0-0") {
    response.set("Content-Range", content_range_unsatisfied(0));
    return whole;
  }
  const RangeResult result = parse_range(header, size_bytes);
  if (result.kind == RangeKind::Unsatisfiable) {
    Response refused = error_response(416, "", "Requested range is not satisfiable");
    refused.set("Content-Range", content_range_unsatisfied(size_bytes));
    refused.set("X-Repo-Commit", std::string(response.header("X-Repo-Commit")));
    refused.set("Accept-Ranges", "bytes");
    throw Refusal(ErrorKind::Invalid, "range", std::move(refused));
  }
  if (result.kind == RangeKind::Part) {
    response.status = 206;
    response.set("Content-Range", content_range(result.range, size_bytes));
  }
  return result.range;
}

Response file_response(const Call& call, const RevisionAt& at, std::string_view etag,
                       std::uint64_t size_bytes) {
  Response response;
  response.set("Content-Type", std::string(media_type(call.match.path)));
  response.set("ETag", quoted(etag));
  response.set("X-Linked-ETag", quoted(etag));
  response.set("X-Linked-Size", std::to_string(size_bytes));
  response.set("X-Repo-Commit", to_hex(at.commit));
  response.set("Accept-Ranges", "bytes");
  response.set("Content-Disposition",
               content_disposition(call.match.path, call.query.flag("download")));
  response.set("Cache-Control", at.by_commit ? "public, max-age=31536000, immutable" : "no-cache");
  // A stored file is never a page of ours: no script, no form, no frame, whatever its type.
  response.set("Content-Security-Policy", "default-src 'none'; sandbox");
  return response;
}

}  // namespace

Response resolve_file(const Call& call) {
  const RevisionAt at = find_revision(call);
  const auto file = open_file(call.services, at.id, at.commit, call.match.path);
  if (!file) refuse_entry(at, false);
  if (!file->reader) refuse_entry(at, true);
  const std::uint64_t size_bytes = file->reader->size_bytes();
  Response response = file_response(call, at, file->etag, size_bytes);
  ObjectSlice slice{.reader = file->reader, .range = {}};
  slice.range = take_range(call, file->etag, size_bytes, response);
  response.body = std::move(slice);
  return response;
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
  const std::string etag = to_hex(record->blob);
  Response response = file_response(call, at, etag, pointer->bytes.size());
  const auto range = take_range(call, etag, pointer->bytes.size(), response);
  response.body = pointer->bytes.substr(range.offset, range.length);
  return response;
}

}  // namespace holdfast::web
