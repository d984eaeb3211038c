// The bytes of files: /{repo}/resolve/{rev}/{path} and /{repo}/raw/{rev}/{path} (hub-protocol 2).
#include "web/hot_files.h"
#include "web/internal/answers.h"
#include "web/internal/file_answer.h"
#include "web/internal/gate.h"
#include "web/internal/media_type.h"
#include "web/internal/xet_offer.h"

namespace holdfast::web {
namespace {

constexpr std::string_view kNoPage = "default-src 'none'; sandbox";

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

// Nothing in these lines is the client's but the file's name, which is encoded.
FileVersion file_version(const Call& call, const RevisionAt& at, const std::string& etag,
                         std::uint64_t size_bytes) {
  FileVersion version{.etag = "\"" + etag + "\"",
                      .commit = to_hex(at.commit),
                      .size_bytes = size_bytes,
                      .by_commit = at.by_commit,
                      .headers = {}};
  // A part says which file's it is, as upstream's storage does; what else there is to know stands
  // on the answer with the whole: half the bytes of a head are a tenth of a small range's cost.
  std::string& lines = version.part_headers;
  const std::string_view type = media_type(call.match.path);
  add_header_line(lines, "Content-Type", type);
  add_header_line(lines, "ETag", version.etag);
  add_header_line(lines, "X-Repo-Commit", version.commit);
  add_header_line(lines, "Accept-Ranges", "bytes");
  add_header_line(lines, "Cache-Control", cache_control(version));
  // A stored file is never a page of ours: no script, no form, no frame, whatever its type. Bytes
  // of no type are no page anyhow, and most parts are of such.
  const bool is_shown = type != "application/octet-stream";
  if (is_shown) add_header_line(lines, "Content-Security-Policy", kNoPage);
  version.headers = lines;
  if (!is_shown) add_header_line(version.headers, "Content-Security-Policy", kNoPage);
  add_header_line(version.headers, "X-Linked-ETag", version.etag);
  add_header_line(version.headers, "X-Linked-Size", std::to_string(size_bytes));
  add_header_line(version.headers, "Content-Disposition",
                  content_disposition(call.match.path, call.query.flag("download")));
  return version;
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
  file->repo = at.id;
  file->xet_name = xet_name(call.services, at, *record);
  if (call.services.access != nullptr) {
    const auto repository = call.services.store.catalog().find_repository(at.id);
    if (repository) file->gated = repository->gated;
  }
  if (call.services.hot_files != nullptr) {
    call.services.hot_files->put(call.request.target, generation, file);
  }
  return offer_xet(call.request, call.services, *file, answer_file(call.request, file));
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
  return answer_text(call.request, version, pointer->bytes);
}

std::optional<Response> answer_hot_file(const Request& request, const Services& services) {
  if (services.hot_files == nullptr) return std::nullopt;
  if (request.method != "GET" && request.method != "HEAD") return std::nullopt;
  const auto file = services.hot_files->find(request.target, services.store.generation());
  // What names no repository is nobody's to have.
  if (file == nullptr || file->repo.name.empty() ||
      !may_have_files(request, services, file->repo, file->gated)) {
    return std::nullopt;
  }
  Response response = offer_xet(request, services, *file, answer_file(request, file));
  response.route = file->route;
  return response;
}

}  // namespace holdfast::web
