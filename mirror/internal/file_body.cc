#include "mirror/internal/file_body.h"

#include <algorithm>
#include <string_view>

#include "storage/base/error.h"

namespace holdfast::mirror {
namespace {

[[noreturn]] void refuse(const RemoteFile& file, const HttpResponse& head,
                         const std::string& what) {
  fail(ErrorKind::Corrupt,
       file.path + ": " + what + " (" +
           std::string(head.headers.find("content-type").value_or("no content type")) + " from " +
           without_query(head.url) + ")");
}

}  // namespace

bool check_commit(const RemoteFile& file, const HttpResponse& head) {
  bool named = false;
  const auto check = [&](const Headers& headers) {
    const auto commit = headers.find("x-repo-commit");
    if (commit && *commit != to_hex(file.commit)) {
      refuse(file, head,
             "asked for commit " + to_hex(file.commit) + ", upstream answers with " +
                 std::string(commit->substr(0, 60)));
    }
    named = named || commit;
  };
  for (const HttpHop& hop : head.redirects) check(hop.headers);
  check(head.headers);
  return named;
}

FileBody::FileBody(const RemoteFile& file, storage::ByteRange range, const ByteSink& sink)
    : file_(file), range_(range), sink_(sink) {}

HttpRequest FileBody::next_request(const Url& url) const {
  HttpRequest request;
  request.url = url;
  // A server that ignores the range sends everything; begin() decides whether that will do.
  request.body_max = file_.size_bytes;
  if (!whole() || delivered_ > 0) {
    request.range = {.offset = range_.offset + delivered_, .length = range_.length - delivered_};
  }
  return request;
}

void FileBody::begin(const HttpResponse& head) {
  check_commit(file_, head);
  skip_ = 0;
  if (head.status == 206) {
    const auto text = head.headers.find("content-range");
    const auto range = text ? parse_content_range(*text) : std::nullopt;
    const std::uint64_t first = range_.offset + delivered_;
    if (!range || range->first != first || range->last != range_.offset + range_.length - 1 ||
        range->size_bytes.value_or(file_.size_bytes) != file_.size_bytes) {
      refuse(file_, head,
             "asked for bytes from " + std::to_string(first) + " of " +
                 std::to_string(file_.size_bytes) + ", found Content-Range '" +
                 std::string(text.value_or("")) + "'");
    }
    return;
  }
  const std::string length(head.headers.find("content-length").value_or(""));
  if (!length.empty() && length != std::to_string(file_.size_bytes)) {
    refuse(file_, head,
           "expected " + std::to_string(file_.size_bytes) + " bytes, upstream sends " + length);
  }
  if (!whole()) fail(ErrorKind::Unsupported, file_.path + ": upstream ignores ranges");
  skip_ = delivered_;
}

void FileBody::write(std::span<const std::byte> bytes) {
  const auto skipped = static_cast<std::size_t>(std::min<std::uint64_t>(skip_, bytes.size()));
  skip_ -= skipped;
  bytes = bytes.subspan(skipped);
  if (bytes.empty()) return;
  if (bytes.size() > range_.length - delivered_) {
    fail(ErrorKind::Corrupt, file_.path + ": more bytes than asked for");
  }
  sink_(bytes);
  delivered_ += bytes.size();
}

void FileBody::check_complete(const HttpResponse& response) const {
  if (delivered_ == range_.length) return;
  fail(ErrorKind::Unavailable, file_.path + ": " + without_query(response.url) + " ended after " +
                                   std::to_string(delivered_) + " of " +
                                   std::to_string(range_.length) + " bytes");
}

}  // namespace holdfast::mirror
