// Xet, reading: the token of a revision, how a file is put together, and the bytes of xorbs
// (hub-protocol 5.1 and 5.2; CAS openapi of huggingface/xet-core 1.6.0). Xorbs are no files here:
// they are parts of our whole objects with headers between them.
#include <algorithm>
#include <chrono>
#include <memory>
#include <variant>

#include "storage/xet/index.h"
#include "storage/xet/xorb.h"
#include "web/access.h"
#include "web/internal/answers.h"
#include "web/internal/gate.h"
#include "web/internal/rights.h"
#include "web/internal/xet_terms.h"
#include "web/limits.h"
#include "web/oidc.h"
#include "web/range.h"
#include "web/xet.h"

namespace holdfast::web {
namespace {

using storage::xet::File;

Xet& xet_of(const Call& call) {
  if (call.services.xet == nullptr) refuse(404, "", "This hub does not serve Xet");
  return *call.services.xet;
}

storage::xet::Index& index_of(const Call& call) {
  storage::xet::Index* index = call.services.store.xet_index();
  if (index == nullptr) refuse(404, "", "This hub does not serve Xet");
  return *index;
}

std::string cas_url(const Call& call) { return base_url(call) + "/-/xet"; }

Time expiry_of(const Call& call) { return call.services.clock->now() + kXetTokenPeriod; }

// No later than who brings another's word would have to bring it anew.
Time token_expiry_of(const Call& call) {
  const Time expiry = expiry_of(call);
  const auto& identity = caller_of(call.request).identity;
  if (identity == nullptr || !identity->token->expires_at) return expiry;
  return std::min(expiry, *identity->token->expires_at + kIdentityLeeway);
}

// Whose the token of this call for a repository will be.
XetBearer bearer_of(const Call& call, const storage::RepoId& repo) {
  const Caller& caller = caller_of(call.request);
  if (call.request.trusted || caller.trusted) return std::monostate();
  if (caller.identity != nullptr) {
    const storage::User& user = *caller.identity->user;
    return XetIdentity{.user = user.name, .right = right_of(user, repo)};
  }
  return caller.token == nullptr ? Digest{} : caller.token->secret;
}

// Him again, with what his provider gave him then and what he was given here by now; good for the
// repository of his grant alone.
Caller caller_with(Access& access, const XetIdentity& identity) {
  storage::User user{.name = identity.user, .role = identity.right};
  if (const auto known = access.book().find_user(identity.user)) {
    user.role = std::max(user.role, known->role);
    user.grants = known->grants;
  }
  storage::Token token{.user = identity.user, .scope = storage::Right::Admin};
  return {.token = std::make_shared<const storage::Token>(std::move(token)),
          .user = std::make_shared<const storage::User>(std::move(user))};
}

Caller caller_with(Access& access, const Digest& secret) {
  return secret == Digest{} ? Caller{} : access.caller_with(secret);
}

Caller caller_with(Access&, std::monostate) { return {.trusted = true}; }

// Whether who got the token could get it now.
bool may_still_have(const Call& call, const XetGrant& grant) {
  Access* access = call.services.access;
  if (access == nullptr) return true;
  const Caller caller =
      std::visit([&](const auto& bearer) { return caller_with(*access, bearer); }, grant.bearer);
  const auto repository = call.services.store.catalog().find_repository(grant.repo);
  return repository && access->right_on(caller, grant.repo) >= storage::Right::Read &&
         access->passes(caller, grant.repo, repository->gated);
}

XetGrant grant_of(const Call& call) {
  const auto token = after_scheme(call.request.header("Authorization"), "Bearer");
  const auto grant = token ? xet_of(call).verify(*token, call.services.clock->now()) : std::nullopt;
  if (!grant || !may_still_have(call, *grant))
    refuse(401, "", "This needs a token that xet-read-token gave, and that is not too old");
  return *grant;
}

bool has_object(const storage::Catalog& catalog, const XetGrant& grant, const Digest& object) {
  const auto use = catalog.find_use(grant.repo, object);
  if (!use || use->first == grant.commit) return use.has_value();
  // Another revision of the repository has it; this one mostly under the same name, if at all.
  const auto same = catalog.find_file(grant.repo, grant.commit, use->second.path);
  if (same && same->object == object) return true;
  const auto files = catalog.files(grant.repo, grant.commit, "");
  return std::ranges::find(files, std::optional(object), &storage::FileRecord::object) !=
         files.end();
}

// The file of the address, if the token is for a revision that has it.
File find_file(const Call& call) {
  const XetGrant grant = grant_of(call);
  const auto hash = storage::xet::parse_hash(call.match.path);
  if (!hash) refuse(400, "", "expected a file's hash of 64 hex digits");
  auto file = index_of(call).find_file(*hash);
  if (!file || !has_object(call.services.store.catalog(), grant, file->object)) {
    refuse(404, "EntryNotFound", "No file of this revision has this hash");
  }
  return *std::move(file);
}

[[noreturn]] void refuse_range(std::uint64_t size_bytes) {
  Response response = error_response(416, "", "Requested range is not satisfiable");
  response.set("Content-Range", content_range_unsatisfied(size_bytes));
  throw Refusal(ErrorKind::Invalid, "range", std::move(response));
}

RangeResult range_of(const Call& call, std::uint64_t size_bytes) {
  const RangeResult result = parse_range(call.request.header("Range"), size_bytes);
  if (result.kind == RangeKind::Unsatisfiable) refuse_range(size_bytes);
  return result;
}

// Of chunks: without the end.
Json chunks_json(const XorbPart& part) {
  return Json::Object{{"start", part.first}, {"end", part.end}};
}

// Of bytes: with the end, as in a Range header.
Json bytes_json(const XorbPart& part) {
  return Json::Object{{"start", part.bytes.offset},
                      {"end", part.bytes.offset + part.bytes.length - 1}};
}

Json fetch_v1(const XorbPart& part, const std::string& url) {
  return Json::Object{{"range", chunks_json(part)}, {"url", url}, {"url_range", bytes_json(part)}};
}

// One range for each address: then nobody asks for several at once.
Json fetch_v2(const XorbPart& part, const std::string& url) {
  return Json::Object{{"url", url},
                      {"ranges", Json::Array{Json::Object{{"chunks", chunks_json(part)},
                                                          {"bytes", bytes_json(part)}}}}};
}

// How a version of the API says what to fetch.
struct Dialect {
  std::string_view member;
  Json (*fetch)(const XorbPart& part, const std::string& url);
};

Response describe(const Call& call, const Dialect& dialect) {
  const File file = find_file(call);
  const Reconstruction found =
      reconstruct(index_of(call), file, range_of(call, file.size_bytes).range);
  const std::string base = cas_url(call) + "/xorbs/";
  const Time expires_at = expiry_of(call);
  Json::Array terms;
  for (const Term& term : found.terms) {
    terms.emplace_back(Json::Object{{"hash", to_text(file.xorbs[term.part.xorb].hash)},
                                    {"unpacked_length", term.size_bytes},
                                    {"range", chunks_json(term.part)}});
  }
  Json::Object fetches;
  for (const auto& [hash, parts] : found.parts) {
    Json::Array list;
    for (const XorbPart& part : parts) {
      const XorbGrant grant{.file = file.hash, .xorb = part.xorb, .expires_at = expires_at};
      list.push_back(dialect.fetch(part, base + call.services.xet->sign(grant)));
    }
    fetches.set(to_text(hash), std::move(list));
  }
  Json::Object body{{"offset_into_first_range", found.offset}, {"terms", std::move(terms)}};
  body.set(std::string(dialect.member), std::move(fetches));
  Response response = json_response(std::move(body));
  response.set("Cache-Control", "no-store");
  return response;
}

std::shared_ptr<const ServedXorb> find_xorb(const Call& call, const XorbGrant& grant) {
  Xet& xet = xet_of(call);
  if (auto served = xet.find_served(grant)) return served;
  const auto& index = index_of(call);
  const auto file = index.find_file(grant.file);
  if (!file || grant.xorb >= file->xorbs.size()) refuse(404, "EntryNotFound", "No such xorb");
  const auto chunks = index.chunks(file->object, grant.xorb);
  auto served = std::make_shared<const ServedXorb>(
      ServedXorb{.object = file->object, .frame = {file->xorbs[grant.xorb], chunks}});
  xet.keep_served(grant, served);
  return served;
}

}  // namespace

Response xet_read_token(const Call& call) {
  const Xet& xet = xet_of(call);
  const RevisionAt at = find_revision(call);
  const XetGrant grant{.repo = at.id,
                       .commit = at.commit,
                       .expires_at = token_expiry_of(call),
                       .bearer = bearer_of(call, at.id)};
  const std::string token = xet.sign(grant), url = cas_url(call);
  const auto seconds =
      std::chrono::floor<std::chrono::seconds>(grant.expires_at.time_since_epoch()).count();
  Response response =
      json_response(Json::Object{{"accessToken", token}, {"exp", seconds}, {"casUrl", url}});
  response.set("X-Xet-Access-Token", token);
  response.set("X-Xet-Token-Expiration", std::to_string(seconds));
  response.set("X-Xet-Cas-Url", url);
  response.set("X-Repo-Commit", to_hex(at.commit));
  response.set("Cache-Control", "no-store");
  return response;
}

Response xet_reconstruction_v1(const Call& call) {
  return describe(call, {.member = "fetch_info", .fetch = fetch_v1});
}

Response xet_reconstruction_v2(const Call& call) {
  return describe(call, {.member = "xorbs", .fetch = fetch_v2});
}

Response xet_xorb(const Call& call) {
  const auto target = split_target(call.request.target);
  const auto grant =
      target ? xet_of(call).verify(call.match.path, target->query, call.services.clock->now())
             : std::nullopt;
  // 403 makes clients ask for the file's description again.
  if (!grant) refuse(403, "", "this address is not, or no longer, valid: ask for it again");
  const auto xorb = find_xorb(call, *grant);
  const std::shared_ptr<const storage::BlobReader> reader = storage::xet::make_xorb_reader(
      call.services.store.blobs().open(xorb->object), {xorb, &xorb->frame});
  const auto [kind, range] = range_of(call, reader->size_bytes());
  const bool part = kind == RangeKind::Part;
  Response response;
  response.status = part ? 206 : 200;
  response.set("Content-Type", "application/octet-stream");
  response.set("ETag", "\"" + to_text(xorb->frame.hash()) + "\"");
  response.set("Accept-Ranges", "bytes");
  response.set("Cache-Control", "no-store");
  if (part) response.set("Content-Range", content_range(range, reader->size_bytes()));
  response.body = ObjectSlice{.reader = reader, .range = range};
  return response;
}

}  // namespace holdfast::web
