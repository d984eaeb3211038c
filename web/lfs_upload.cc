// Large files coming in: by one PUT, or by parts that a POST ends (hub-protocol 3.4; "multipart" is
// the hub's own extension of git-lfs' batch API). Bytes go to the store's staging and are hashed on
// the way; an object is there when its hash is right, and never before.
#include "web/internal/lfs_upload.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <set>
#include <utility>

#include "web/access.h"
#include "web/internal/answers.h"
#include "web/internal/error_text.h"
#include "web/internal/gate.h"
#include "web/internal/git_repository.h"
#include "web/internal/request_json.h"
#include "web/internal/write_access.h"
#include "web/limits.h"
#include "web/quotas.h"
#include "web/uploads.h"

namespace holdfast::web {
namespace {

Uploads& uploads_of(const Call& call) {
  if (call.services.uploads == nullptr) refuse(501, "", "large files are not taken in here");
  return *call.services.uploads;
}

// `part_bytes`, or as many times that as keep the object within the parts that one may have.
std::uint64_t part_bytes_for(std::uint64_t size_bytes, std::uint64_t part_bytes) noexcept {
  const std::uint64_t parts = (size_bytes + part_bytes - 1) / part_bytes;
  return part_bytes * ((parts + kPartsMax - 1) / kPartsMax);
}

// Where the object goes: in one piece, or in the parts that the grant speaks of.
Json upload_action(const Call& call, const UploadGrant& grant) {
  const Uploads& uploads = uploads_of(call);
  const std::string url = lfs_url(call, grant.repo, "objects/" + to_hex(grant.object) + "?");
  Json::Object header;
  if (grant.part_bytes != 0) {
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
  if (!header.empty()) action.set("header", std::move(header));
  return action;
}

// The permission that the URL of this request carries.
UploadGrant grant_of(const Call& call) {
  const auto repo = named_repository(call);
  const auto digest = parse_digest(call.match.path);
  const auto target = split_target(call.request.target);
  auto grant = repo && digest && target ? uploads_of(call).verify(target->query, *repo, *digest,
                                                                  call.services.clock->now())
                                        : std::nullopt;
  // Before anything tells whether there is such a repository: nobody has been asked who he is.
  if (!grant)
    refuse(403, "", "this upload URL is not, or no longer, valid: ask the batch API again");
  grant->repo_made_at = find_git_repository(call).created_at;
  return *grant;
}

// Before a byte of the object is taken.
Quotas::Hold admit(const Call& call, const UploadGrant& grant) {
  if (call.services.quotas == nullptr) return {};
  const QuotaClaim claim{.object = grant.object, .size_bytes = grant.size_bytes};
  return call.services.quotas->admit(grant.repo, {&claim, 1});
}

// Wrong bytes are the client's fault here, not a damaged store.
void commit_object(const Services& services, storage::BlobWriter& writer, const Digest& expected) {
  try {
    writer.commit(expected);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::Corrupt || is_of_own_disk(services, error)) throw;
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
      : services_(call.services),
        grant_(grant),
        length_(grant.size_bytes),
        held_(admit(call, grant)) {
    // Two clients may send the same object: each has a lease of its own.
    static std::atomic<std::uint64_t> counter{0};
    writer_ = call.services.store.blobs().create(
        {.lease_key = upload_leases(grant_.repo, grant_.repo_made_at, grant_.object) +
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
    commit_object(services_, *writer_, grant_.object);
    done_ = true;
    held_.keep(grant_.expires_at);
    return json_response(Json::Object{});
  }

 private:
  const Services& services_;
  UploadGrant grant_;
  ExactLength length_;
  Quotas::Hold held_;
  std::unique_ptr<storage::BlobWriter> writer_;
  bool done_ = false;
};

// One part; bytes that an earlier try brought, or brings till now, are not written again.
class Part final : public Receiver {
 public:
  Part(const Call& call, const UploadGrant& grant)
      : range_(grant.range()),
        part_(grant.part),
        length_(range_.length),
        held_(admit(call, grant)),
        share_(uploads_of(call).join(call.services.store.blobs(), grant)) {
    const auto turn = share_->turn();
    missing_ = share_->writer().missing();
    held_.keep(grant.expires_at);  // what comes stays, for the next try
  }

  void put(std::span<const std::byte> bytes) override {
    const std::uint64_t begin = range_.offset + length_.take(bytes.size());
    const std::uint64_t end = begin + bytes.size();
    const auto turn = share_->turn();
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
  Quotas::Hold held_;
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

// Whoever asks again, since a proxy lost patience, finds the writer at the end of its work, or
// done.
void finish_parts(const Call& call, const UploadGrant& grant, storage::BlobWriter& writer) {
  try {
    const auto missing = writer.missing();
    if (missing.empty()) return commit_object(call.services, writer, grant.object);
    refuse(
        400, "",
        "part " + std::to_string(missing.front().offset / grant.part_bytes + 1) + " has not come");
  } catch (const Refusal&) {
    throw;
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::Invalid) throw;
    if (!is_here(call, grant)) refuse(503, "", "the upload is being ended already: try again");
  }
}

}  // namespace

std::optional<std::uint64_t> find_reusable(const Services& services, const storage::RepoId& repo,
                                           const Digest& object) {
  const auto size = services.store.blobs().find(object);
  if (!size || services.access == nullptr || services.access->is_unguarded()) return size;
  const auto record = services.store.catalog().find_repository(repo);
  if (!record) return std::nullopt;
  const bool came =
      services.store.blobs().is_leased(upload_leases(repo, record->created_at, object), object);
  return came || services.store.catalog().find_use(repo, object) ? size : std::nullopt;
}

Response lfs_response(const Json& value) {
  Response response = json_response(value);
  for (auto& [name, text] : response.headers) {
    if (name == "Content-Type") text = kLfsMediaType;
  }
  return response;
}

Json lfs_error(int code, std::string_view message) {
  return Json::Object{{"code", code}, {"message", message}};
}

std::string lfs_url(const Call& call, const storage::RepoId& repo, std::string_view rest) {
  const std::string page = page_path(call.services, repo);
  return base_url(call) + page.substr(base_path(call.services).size()) + ".git/info/lfs/" +
         std::string(rest);
}

UploadBatch::UploadBatch(const Call& call, const storage::RepoId& repo,
                         std::span<const LfsObject> objects, bool knows_parts)
    : call_(call),
      repo_(repo),
      objects_(objects),
      knows_parts_(knows_parts),
      part_bytes_(kPartBytes) {
  if (call.services.quotas != nullptr) room_ = call.services.quotas->room(repo.owner);
  std::uint64_t parts = 0;
  for (const LfsObject& object : objects) {
    if (is_sent_in_parts(object)) parts += object.size_bytes / kPartBytes + 1;
  }
  part_bytes_ *= std::max<std::uint64_t>(1, (parts + kBatchPartsMax - 1) / kBatchPartsMax);
}

bool UploadBatch::is_sent_in_parts(const LfsObject& object) const noexcept {
  return knows_parts_ && object.size_bytes > kMultipartMin && object.size_bytes <= kUploadBytesMax;
}

// Clients ask for each file: npm's sends two of one content side by side when both have actions. So
// only the first has; the others' commit comes after all uploads.
Json::Array UploadBatch::entries() {
  std::set<std::pair<std::string_view, std::uint64_t>> asked;
  Json::Array entries;
  for (const LfsObject& object : objects_) {
    if (asked.emplace(object.oid, object.size_bytes).second) {
      entries.push_back(entry(object));
    } else {
      entries.emplace_back(Json::Object{{"oid", object.oid}, {"size", object.size_bytes}});
    }
  }
  return entries;
}

Json UploadBatch::entry(const LfsObject& object) {
  Json::Object entry{{"oid", object.oid}, {"size", object.size_bytes}};
  const auto digest = parse_digest(object.oid);
  if (!digest || object.size_bytes == 0 || object.size_bytes > kUploadBytesMax) {
    entry.set("error", lfs_error(422, "expected a SHA-256 and 1 to " +
                                          std::to_string(kUploadBytesMax) + " bytes"));
    return entry;
  }
  if (find_reusable(call_.services, repo_, *digest) == object.size_bytes) return entry;
  if (room_ && object.size_bytes > *room_) {
    entry.set("error", lfs_error(507, "the storage quota of \"" + repo_.owner + "\" leaves " +
                                          std::to_string(*room_) + " bytes"));
    return entry;
  }
  if (room_) *room_ -= object.size_bytes;
  UploadGrant grant{.repo = repo_,
                    .object = *digest,
                    .size_bytes = object.size_bytes,
                    .expires_at = call_.services.clock->now() + kUploadUrlPeriod};
  if (is_sent_in_parts(object)) {
    grant.part_bytes = part_bytes_for(object.size_bytes, part_bytes_);
    multipart_ = true;
  }
  // Not "authenticated": git-lfs would bring no token to "verify" either, which is not signed.
  entry.set("actions",
            Json::Object{{"upload", upload_action(call_, grant)},
                         {"verify", Json::Object{{"href", lfs_url(call_, repo_, "verify")}}}});
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
    Quotas::Hold held = admit(call, grant);
    const auto share = uploads_of(call).join(call.services.store.blobs(), grant);
    finish_parts(call, grant, share->writer());
    held.keep(grant.expires_at);
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
