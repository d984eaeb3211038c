// Large files coming in: by one PUT, or by parts that a POST ends (hub-protocol 3.4; "multipart" is
// the hub's own extension of git-lfs' batch API). Bytes go to the store's staging and are hashed on
// the way; an object is there when its hash is right, and never before.
#include "web/internal/lfs_upload.h"

#include <algorithm>
#include <array>
#include <atomic>

#include "web/access.h"
#include "web/internal/answers.h"
#include "web/internal/git_repository.h"
#include "web/internal/request_json.h"
#include "web/internal/write_access.h"
#include "web/limits.h"
#include "web/uploads.h"

namespace holdfast::web {
namespace {

Response lfs_response(const Json& value) {
  Response response = json_response(value);
  for (auto& [name, text] : response.headers) {
    if (name == "Content-Type") text = kLfsMediaType;
  }
  return response;
}

Uploads& uploads_of(const Call& call) {
  if (call.services.uploads == nullptr) refuse(501, "", "large files are not taken in here");
  return *call.services.uploads;
}

// Of the object in bytes, as many parts as are allowed.
std::uint64_t part_bytes_of(std::uint64_t size_bytes) noexcept {
  const std::uint64_t least = (size_bytes + kPartsMax - 1) / kPartsMax;
  return std::max(kPartBytes, (least + kPartBytes - 1) / kPartBytes * kPartBytes);
}

Json upload_action(const Call& call, UploadGrant grant, bool parts) {
  const Uploads& uploads = uploads_of(call);
  const std::string url = lfs_url(call, grant.repo, "objects/" + to_hex(grant.object) + "?");
  Json::Object header;
  if (parts) {
    grant.part_bytes = part_bytes_of(grant.size_bytes);
    header.set("chunk_size", std::to_string(grant.part_bytes));
    constexpr std::size_t kDigits = 5;
    for (std::uint64_t part = 1; part <= grant.part_count(); ++part) {
      UploadGrant one = grant;
      one.part = part;
      std::string name = std::to_string(part);
      name.insert(0, kDigits - std::min(kDigits, name.size()), '0');
      header.set(std::move(name), url + uploads.sign(one));
    }
  }
  Json::Object action{{"href", url + uploads.sign(grant)},
                      {"expires_in", std::chrono::seconds(kUploadUrlPeriod).count()}};
  if (parts) action.set("header", std::move(header));
  return action;
}

// The permission that the URL of this request carries.
UploadGrant grant_of(const Call& call) {
  const auto repository = find_git_repository(call);
  const auto digest = parse_digest(call.match.path);
  const auto target = split_target(call.request.target);
  const auto grant = digest && target ? uploads_of(call).verify(target->query, repository.id,
                                                                *digest, call.services.clock->now())
                                      : std::nullopt;
  if (!grant)
    refuse(403, "", "this upload URL is not, or no longer, valid: ask the batch API again");
  return *grant;
}

// Wrong bytes are the client's fault here, not a damaged store.
void commit_object(storage::BlobWriter& writer, const Digest& expected) {
  try {
    writer.commit(expected);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::Corrupt) throw;
    refuse(400, "", error.what());
  }
}

// Keeps a body to the length that its URL permits.
class ExactLength {
 public:
  explicit ExactLength(std::uint64_t bytes) : bytes_(bytes) {}

  // Where these bytes belong.
  std::uint64_t take(std::size_t bytes) {
    if (bytes > bytes_ - taken_) fail_length(" and more");
    taken_ += bytes;
    return taken_ - bytes;
  }

  void finish() const {
    if (taken_ < bytes_) fail_length("");
  }

 private:
  [[noreturn]] void fail_length(std::string_view more) const {
    refuse(400, "",
           "body: expected " + std::to_string(bytes_) + " bytes, found " + std::to_string(taken_) +
               std::string(more));
  }

  std::uint64_t bytes_;
  std::uint64_t taken_ = 0;
};

class WholeObject final : public Receiver {
 public:
  WholeObject(const Call& call, const UploadGrant& grant)
      : uploads_(uploads_of(call)), grant_(grant), length_(grant.size_bytes) {
    // Two clients may send the same object: each has a lease of its own.
    static std::atomic<std::uint64_t> counter{0};
    writer_ = call.services.store.blobs().create(
        {.lease_key = "put/" + to_hex(grant_.object) + "/" +
                      std::to_string(call.services.clock->now().time_since_epoch().count()) + "/" +
                      std::to_string(counter.fetch_add(1)),
         .size_bytes = grant.size_bytes});
  }

  WholeObject(const WholeObject&) = delete;
  WholeObject& operator=(const WholeObject&) = delete;

  // What came of a broken PUT is of no use: the next one starts anew.
  ~WholeObject() override {
    if (!done_) writer_->discard();
  }

  void put(std::span<const std::byte> bytes) override {
    length_.take(bytes.size());
    writer_->append(bytes);
  }

  Response finish() override {
    length_.finish();
    commit_object(*writer_, grant_.object);
    done_ = true;
    uploads_.note_proof(grant_.repo, grant_.object);
    return json_response(Json::Object{});
  }

 private:
  Uploads& uploads_;
  UploadGrant grant_;
  ExactLength length_;
  std::unique_ptr<storage::BlobWriter> writer_;
  bool done_ = false;
};

// One part; bytes that an earlier try brought are not written again.
class Part final : public Receiver {
 public:
  Part(const Call& call, const UploadGrant& grant)
      : range_(grant.range()),
        part_(grant.part),
        length_(range_.length),
        share_(uploads_of(call).join(call.services.store.blobs(), grant)),
        missing_(share_->writer().missing()) {}

  void put(std::span<const std::byte> bytes) override {
    const std::uint64_t begin = range_.offset + length_.take(bytes.size());
    const std::uint64_t end = begin + bytes.size();
    for (const storage::ByteRange& gap : missing_) {
      const std::uint64_t from = std::max(begin, gap.offset);
      const std::uint64_t to = std::min(end, gap.offset + gap.length);
      if (from >= to) continue;
      share_->writer().write_at(from, bytes.subspan(from - begin, to - from));
    }
  }

  Response finish() override {
    length_.finish();
    Response response = json_response(Json::Object{});
    response.set("ETag", "\"" + std::to_string(part_) + "-" + std::to_string(range_.length) + "\"");
    return response;
  }

 private:
  storage::ByteRange range_;
  std::uint64_t part_;
  ExactLength length_;
  std::unique_ptr<Uploads::Share> share_;
  std::vector<storage::ByteRange> missing_;
};

// An object that is here already; the client may send it all the same.
class Known final : public Receiver {
 public:
  explicit Known(std::uint64_t bytes) : length_(bytes) {}

  void put(std::span<const std::byte> bytes) override { length_.take(bytes.size()); }

  Response finish() override {
    length_.finish();
    Response response = json_response(Json::Object{});
    response.set("ETag", "\"known\"");
    return response;
  }

 private:
  ExactLength length_;
};

bool is_here(const Call& call, const UploadGrant& grant) {
  return find_reusable(call.services, grant.repo, grant.object) == grant.size_bytes;
}

}  // namespace

std::optional<std::uint64_t> find_reusable(const Services& services, const storage::RepoId& repo,
                                           const Digest& object) {
  const auto size = services.store.blobs().find(object);
  if (!size || services.access == nullptr || services.access->is_unguarded()) return size;
  const bool proven = services.uploads != nullptr && services.uploads->is_proven(repo, object);
  return proven || services.store.catalog().find_use(repo, object) ? size : std::nullopt;
}

Json lfs_error(int code, std::string_view message) {
  return Json::Object{{"code", code}, {"message", message}};
}

std::string lfs_url(const Call& call, const storage::RepoId& repo, std::string_view rest) {
  const std::string page = page_path(call.services, repo);
  return base_url(call) + page.substr(base_path(call.services).size()) + ".git/info/lfs/" +
         std::string(rest);
}

bool is_multipart(const LfsObject& object, bool knows_parts) noexcept {
  return knows_parts && object.size_bytes > kMultipartMin;
}

Json upload_entry(const Call& call, const storage::RepoId& repo, const LfsObject& object,
                  bool knows_parts) {
  Json::Object entry{{"oid", object.oid}, {"size", object.size_bytes}};
  const auto digest = parse_digest(object.oid);
  if (!digest || object.size_bytes == 0 || object.size_bytes > kUploadBytesMax) {
    entry.set("error", lfs_error(422, "expected a SHA-256 and 1 to " +
                                          std::to_string(kUploadBytesMax) + " bytes"));
    return entry;
  }
  if (find_reusable(call.services, repo, *digest) == object.size_bytes) return entry;
  const UploadGrant grant{.repo = repo,
                          .object = *digest,
                          .size_bytes = object.size_bytes,
                          .expires_at = call.services.clock->now() + kUploadUrlPeriod};
  entry.set("authenticated", true);
  entry.set("actions",
            Json::Object{{"upload", upload_action(call, grant, is_multipart(object, knows_parts))},
                         {"verify", Json::Object{{"href", lfs_url(call, repo, "verify")}}}});
  return entry;
}

std::unique_ptr<Receiver> receive_lfs_object(const Call& call) {
  const UploadGrant grant = grant_of(call);
  if ((grant.part == 0) != (grant.part_bytes == 0)) refuse(403, "", "this URL ends an upload");
  if (is_here(call, grant)) {
    return std::make_unique<Known>(grant.range().length);
  }
  if (grant.part == 0) return std::make_unique<WholeObject>(call, grant);
  return std::make_unique<Part>(call, grant);
}

Response lfs_complete(const Call& call) {
  const UploadGrant grant = grant_of(call);
  if (grant.part != 0 || grant.part_bytes == 0) refuse(403, "", "this URL ends no upload");
  if (!is_here(call, grant)) {
    const auto share = uploads_of(call).join(call.services.store.blobs(), grant);
    const auto missing = share->writer().missing();
    if (!missing.empty()) {
      refuse(400, "",
             "part " + std::to_string(missing.front().offset / grant.part_bytes + 1) +
                 " has not come");
    }
    commit_object(share->writer(), grant.object);
    uploads_of(call).note_proof(grant.repo, grant.object);
  }
  return lfs_response(Json::Object{{"oid", to_hex(grant.object)}, {"size", grant.size_bytes}});
}

Response lfs_verify(const Call& call) {
  const auto repository = find_writable_repository(call);
  const auto claimed = read_body(call, [](const Json& json) {
    const Json* size = json.find("size");
    return LfsObject{.oid = text_member(json, "oid"),
                     .size_bytes = size == nullptr ? 0 : size->as_uint("request body: size")};
  });
  const auto digest = parse_digest(claimed.oid);
  if (!digest) refuse(422, "", "request body: oid: expected a SHA-256");
  if (find_reusable(call.services, repository.id, *digest) != claimed.size_bytes) {
    refuse(404, "EntryNotFound", "Object does not exist, or has another size");
  }
  return lfs_response(Json::Object{});
}

}  // namespace holdfast::web
