// Models for ollama, for llama.cpp of before 2026 and for plain OCI clients
// (hub-protocol 2.6, 2.7): /v2/{repo}/manifests/{tag} and /v2/{repo}/blobs/{digest}. A manifest is
// made anew from the files of the default branch each time; it and the small configuration in it
// are no stored files. A pull may take hours, in which the branch moves, a scan finds out more
// about the model, or another version of this program takes over: so both texts are kept as facts
// of their revision when they are handed out, and their digests lead to them for as long as it is
// held.
//
// A manifest has two forms with the same layers: ollama's, which is Docker's, and for who accepts
// OCI's type an artifact (OCI image-spec 1.1, manifest.md, "Guidelines for Artifact Usage"), whose
// layers have the names that their files get.
#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <initializer_list>
#include <limits>
#include <optional>

#include "storage/base/digest.h"
#include "web/internal/answers.h"
#include "web/internal/file_answer.h"
#include "web/internal/html.h"
#include "web/internal/listing.h"
#include "web/internal/log.h"
#include "web/internal/lower.h"
#include "web/internal/repository_facts.h"
#include "web/limits.h"

namespace holdfast::web {
namespace {

using storage::FileRecord;

constexpr std::string_view kManifestType = "application/vnd.docker.distribution.manifest.v2+json";
constexpr std::string_view kConfigType = "application/vnd.docker.container.image.v1+json";
constexpr std::string_view kLayerType = "application/vnd.ollama.image.";
constexpr std::string_view kDigestPrefix = "sha256:";

// OCI image-spec 1.1: media-types.md, and annotations.md for the name of a layer's file.
constexpr std::string_view kArtifactManifestType = "application/vnd.oci.image.manifest.v1+json";
constexpr std::string_view kArtifactType = "application/vnd.ollama.image.model";
constexpr std::string_view kEmptyConfigType = "application/vnd.oci.empty.v1+json";
constexpr std::string_view kEmptyConfig = "{}";
constexpr std::string_view kSuffix = ".gguf";
constexpr std::string_view kTitle = "org.opencontainers.image.title";

// Files at the root of a repository that ollama takes as layers of its own.
constexpr std::array<std::string_view, 3> kOllamaFiles{"template", "system", "params"};

// What "latest" means, best first; after these, the first model there is.
constexpr std::array<std::string_view, 2> kUsualTags{"Q4_K_M", "Q8_0"};

// Facts of a revision, followed by a digest: the texts that were handed out.
constexpr std::string_view kManifestFact = "oci/manifest/";
constexpr std::string_view kConfigFact = "oci/config/";

[[noreturn]] void refuse_oci(std::string_view code, std::string_view message) {
  throw Refusal(ErrorKind::NotFound, std::string(message), oci_error(404, code, message));
}

std::string_view name_of(const FileRecord& file) {
  return std::string_view(file.path).substr(file.path.rfind('/') + 1);
}

// "…-00001-of-00003.gguf", as llama.cpp names the parts of a model.
bool is_split(std::string_view name) {
  constexpr std::string_view kForm = "-#####-of-#####.gguf";
  if (name.size() < kForm.size()) return false;
  const std::string end = lower_case(name.substr(name.size() - kForm.size()));
  return std::ranges::equal(end, kForm, [](char c, char form) {
    return form == '#' ? std::isdigit(static_cast<unsigned char>(c)) != 0 : c == form;
  });
}

// No helper of another model.
bool is_model_or_part(const FileRecord& file) {
  const std::string name = lower_case(name_of(file));
  return name.ends_with(kSuffix) && name.find("mmproj") == name.npos &&
         !name.starts_with("imatrix");
}

// Ollama cannot take a split one.
bool is_model(const FileRecord& file) { return is_model_or_part(file) && !is_split(name_of(file)); }

bool is_first_part(const FileRecord& file) {
  return is_model_or_part(file) && is_split(name_of(file)) &&
         lower_case(name_of(file)).find("-00001-of-") != std::string::npos;
}

bool is_projector(const FileRecord& file) {
  const std::string name = lower_case(name_of(file));
  return name.ends_with(".gguf") && name.find("mmproj") != name.npos;
}

// "Q4_0" names "tiny-Q4_0.gguf" and "tiny.q4_0-v2.gguf", but not "tiny-IQ4_0.gguf".
bool names_model(std::string_view tag, const FileRecord& file) {
  const std::string name = lower_case(name_of(file));
  const std::string want = lower_case(tag);
  if (name == want || name == want + ".gguf") return true;
  for (auto at = name.find(want); at != name.npos && !want.empty(); at = name.find(want, at + 1)) {
    const char after = name[std::min(at + want.size(), name.size() - 1)];
    const bool starts = at == 0 || std::isalnum(static_cast<unsigned char>(name[at - 1])) == 0;
    if (starts && (after == '.' || after == '-')) return true;
  }
  return false;
}

struct Revision {
  RevisionAt at;
  std::vector<FileRecord> files;
};

RevisionAt find_head(const Call& call) {
  const auto id = find_repository(call).id;
  const auto commit = call.services.store.catalog().resolve(id, "HEAD");
  if (!commit) refuse_oci("NAME_UNKNOWN", "The repository has no revision");
  return {.id = id, .commit = *commit};
}

Revision read_revision(const Call& call, const RevisionAt& at) {
  return {.at = at, .files = stored_files(call.services.store.catalog(), at)};
}

// The revisions whose manifests a digest may name: the default branch's, then the newest ones.
std::vector<RevisionAt> recent_revisions(const Call& call) {
  std::vector<RevisionAt> recent{find_head(call)};
  for (const auto& revision : call.services.store.catalog().revisions(recent.front().id)) {
    if (recent.size() == kOciRevisionsMax) break;
    if (revision.commit == recent.front().commit) continue;
    recent.push_back({.id = recent.front().id, .commit = revision.commit});
  }
  return recent;
}

const FileRecord* find_model(const Revision& revision, std::string_view tag, bool parts) {
  const auto find = [&](std::string_view name, auto is_wanted) -> const FileRecord* {
    const auto found = std::ranges::find_if(revision.files, [&](const FileRecord& file) {
      return is_wanted(file) && (name.empty() || names_model(name, file));
    });
    return found == revision.files.end() ? nullptr : &*found;
  };
  const auto with_tag = [&](std::string_view name) {
    const FileRecord* const whole = find(name, is_model);
    return whole == nullptr && parts ? find(name, is_first_part) : whole;
  };
  if (lower_case(tag) != "latest") return with_tag(tag);
  for (const std::string_view usual : kUsualTags) {
    if (const auto* file = with_tag(usual)) return file;
  }
  return with_tag("");
}

// What ollama wants to know before it loads a model.
std::string config_of(const Call& call, const Revision& revision, const FileRecord& model) {
  const auto fact = call.services.store.catalog().find_fact(revision.at.id, revision.at.commit,
                                                            "file/" + model.path);
  Json::Object config{{"model_format", "gguf"}};
  const Json* family = fact ? fact->find_path({"metadata", "general.architecture"}) : nullptr;
  if (family != nullptr) {
    config.set("model_family", *family);
    config.set("model_families", Json::Array{*family});
  }
  const Json* total = fact ? fact->find_path({"parameters", "total"}) : nullptr;
  if (total != nullptr && total->is_integer()) {
    config.set("model_type", count_text(total->as_uint()));
  }
  config.set("architecture", "amd64");
  config.set("os", "linux");
  config.set(
      "rootfs",
      Json::Object{{"type", "layers"},
                   {"diff_ids", Json::Array{std::string(kDigestPrefix) + to_hex(*model.object)}}});
  return to_text(Json(config));
}

Json part(std::string_view type, const Digest& digest, std::uint64_t size_bytes) {
  return Json::Object{{"mediaType", type},
                      {"digest", std::string(kDigestPrefix) + to_hex(digest)},
                      {"size", size_bytes}};
}

Json layer(std::string_view type, const FileRecord& file) {
  return part(std::string(kLayerType) + std::string(type), *file.object, file.size_bytes);
}

// The files that belong to a model, with ollama's word for each; the model itself is first.
std::vector<std::pair<std::string_view, const FileRecord*>> layers_of(const Revision& revision,
                                                                      const FileRecord& model) {
  std::vector<std::pair<std::string_view, const FileRecord*>> layers{{"model", &model}};
  bool has_projector = false;
  for (const FileRecord& file : revision.files) {
    if (is_projector(file) && !has_projector) {
      layers.emplace_back("projector", &file);
      has_projector = true;
    }
    if (std::ranges::find(kOllamaFiles, file.path) != kOllamaFiles.end()) {
      layers.emplace_back(file.path, &file);
    }
  }
  return layers;
}

std::string manifest_of(const Call& call, const Revision& revision, const FileRecord& model) {
  const std::string config = config_of(call, revision, model);
  Json::Array layers;
  Json::Object manifest{{"schemaVersion", 2},
                        {"mediaType", kManifestType},
                        {"config", part(kConfigType, sha256(as_bytes(config)), config.size())}};
  const Json::Object model_file{{"rfilename", model.path}, {"size", model.size_bytes}};
  Json projector_file;
  for (const auto& [type, file] : layers_of(revision, model)) {
    layers.push_back(layer(type, *file));
    if (type != "projector") continue;
    projector_file = Json::Object{{"rfilename", file->path}, {"size", file->size_bytes}};
  }
  manifest.set("layers", std::move(layers));
  // What llama.cpp reads of it.
  manifest.set("ggufFile", model_file);
  if (!projector_file.is_null()) manifest.set("mmprojFile", projector_file);
  return to_text(Json(manifest));
}

std::string artifact_of(const Call&, const Revision& revision, const FileRecord& model) {
  Json::Array layers;
  for (const auto& [type, file] : layers_of(revision, model)) {
    Json one = layer(type, *file);
    one.object().set("annotations", Json::Object{{std::string(kTitle), name_of(*file)}});
    layers.push_back(std::move(one));
  }
  const Json::Object manifest{
      {"schemaVersion", 2},
      {"mediaType", kArtifactManifestType},
      {"artifactType", kArtifactType},
      {"config", part(kEmptyConfigType, sha256(as_bytes(kEmptyConfig)), kEmptyConfig.size())},
      {"layers", std::move(layers)}};
  return to_text(Json(manifest));
}

std::string empty_config_of(const Call&, const Revision&, const FileRecord&) {
  return std::string(kEmptyConfig);
}

// Who accepts both forms can keep more of the artifact than of Docker's image.
bool accepts_artifact(const Request& request) {
  return std::ranges::any_of(request.headers, [](const Header& header) {
    return same_name(header.name, "Accept") &&
           header.value.find(kArtifactManifestType) != std::string_view::npos;
  });
}

// A text that is made of a model's files.
using MadeText = std::string (*)(const Call&, const Revision&, const FileRecord& model);

struct Made {
  RevisionAt at;
  std::string text;
};

std::optional<Made> find_kept(const Call& call, const std::string& fact) {
  const auto& catalog = call.services.store.catalog();
  const auto id = find_repository(call).id;
  for (const auto& revision : catalog.revisions(id)) {
    if (const auto text = catalog.find_fact(id, revision.commit, fact))
      return Made{.at = {.id = id, .commit = revision.commit}, .text = text->as_string()};
  }
  return std::nullopt;
}

// What was not handed out here may have been by another mirror of the same files.
std::optional<Made> find_made(const Call& call, const Digest& digest,
                              std::initializer_list<MadeText> makers) {
  for (const RevisionAt& at : recent_revisions(call)) {
    const Revision revision = read_revision(call, at);
    for (const FileRecord& file : revision.files) {
      if (!is_model(file)) continue;
      for (const MadeText make : makers) {
        std::string text = make(call, revision, file);
        if (sha256(as_bytes(text)) == digest) return Made{.at = at, .text = std::move(text)};
      }
    }
  }
  return std::nullopt;
}

std::optional<Made> find_text(const Call& call, std::string_view fact, const Digest& digest,
                              std::initializer_list<MadeText> makers) {
  auto kept = find_kept(call, std::string(fact) + to_hex(digest));
  return kept ? std::move(kept) : find_made(call, digest, makers);
}

using Texts = std::vector<std::pair<std::string_view, std::string>>;  // each behind its fact

// Once for each text. A full disk keeps nobody from pulling.
void keep(const Call& call, const RevisionAt& at, const Texts& texts) {
  storage::Catalog& catalog = call.services.store.catalog();
  std::vector<std::pair<std::string, Json>> rows;
  for (const auto& [fact, text] : texts) {
    std::string key = std::string(fact) + to_hex(sha256(as_bytes(text)));
    if (!catalog.find_fact(at.id, at.commit, key)) rows.emplace_back(std::move(key), text);
  }
  if (rows.empty()) return;
  try {
    catalog.put_facts(at.id, at.commit, rows);
  } catch (const Error& error) {
    log()->warn("oci_manifest_not_kept repo={} error={:?}", storage::to_text(at.id),
                std::string_view(error.what()));
  }
}

std::optional<Digest> parse_oci_digest(std::string_view name) {
  if (!name.starts_with(kDigestPrefix)) return std::nullopt;
  return parse_digest(name.substr(kDigestPrefix.size()));
}

// The manifest that a tag, or the digest of one of ours, names.
std::string find_manifest(const Call& call) {
  const std::string& tag = call.match.revision;
  if (const auto digest = parse_oci_digest(tag)) {
    auto found = find_text(call, kManifestFact, *digest, {artifact_of, manifest_of});
    if (!found) refuse_oci("MANIFEST_UNKNOWN", "No manifest has the digest " + tag);
    return std::move(found->text);
  }
  const Revision revision = read_revision(call, find_head(call));
  // Who asks for a model by its first part knows the others by its name.
  const FileRecord* model = find_model(revision, tag, is_llama_cpp(call.request));
  if (model == nullptr) refuse_oci("MANIFEST_UNKNOWN", "No GGUF file is named \"" + tag + "\"");
  const bool artifact = accepts_artifact(call.request);
  std::string manifest = (artifact ? artifact_of : manifest_of)(call, revision, *model);
  Texts texts{{kManifestFact, manifest}};
  if (!artifact) texts.emplace_back(kConfigFact, config_of(call, revision, *model));
  keep(call, revision.at, texts);
  return manifest;
}

// OCI distribution-spec 1.1, "Pulling manifests": what a tag may be.
bool is_tag(std::string_view text) {
  constexpr std::size_t kBytesMax = 128;
  const auto is_word = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
  };
  return !text.empty() && text.size() <= kBytesMax && is_word(text.front()) &&
         std::ranges::all_of(text, [&](char c) { return is_word(c) || c == '.' || c == '-'; });
}

// OCI distribution-spec 1.1, "Listing Tags": small and large letters are the same there.
bool stands_before(std::string_view a, std::string_view b) {
  const std::string small_a = lower_case(a), small_b = lower_case(b);
  return small_a != small_b ? small_a < small_b : a < b;
}

std::vector<std::string> tags_of(const Revision& revision) {
  std::vector<std::string> tags;
  for (const FileRecord& file : revision.files) {
    const std::string_view name = name_of(file);
    const std::string_view tag =
        name.substr(0, name.size() - std::min(name.size(), kSuffix.size()));
    if (is_model(file) && is_tag(tag)) tags.emplace_back(tag);
  }
  if (!tags.empty()) tags.emplace_back("latest");
  std::ranges::sort(tags, stands_before);
  tags.erase(std::ranges::unique(tags).begin(), tags.end());
  return tags;
}

std::size_t tags_wanted(const Call& call) {
  const std::string* text = call.query.find("n");
  std::size_t count = std::numeric_limits<std::size_t>::max();
  if (text == nullptr) return count;
  const auto read = std::from_chars(text->data(), text->data() + text->size(), count);
  if (read.ec != std::errc() || read.ptr != text->data() + text->size())
    refuse(400, "", "n: expected a number, found \"" + *text + "\"");
  return count;
}

FileVersion blob_version(const GitOid& commit, const Digest& digest, std::uint64_t size_bytes) {
  FileVersion version{.etag = "\"" + to_hex(digest) + "\"",
                      .commit = to_hex(commit),
                      .size_bytes = size_bytes,
                      .by_commit = true,
                      .headers = {}};
  add_header_line(version.headers, "Content-Type", "application/octet-stream");
  add_header_line(version.headers, "ETag", version.etag);
  add_header_line(version.headers, "Docker-Content-Digest",
                  std::string(kDigestPrefix) + to_hex(digest));
  add_header_line(version.headers, "Accept-Ranges", "bytes");
  add_header_line(version.headers, "Cache-Control", cache_control(version));
  add_header_line(version.headers, "Content-Security-Policy", "default-src 'none'; sandbox");
  return version;
}

// The bytes of a blob of this repository; nothing when it has no such blob.
std::optional<Response> answer_blob(const Call& call, const Digest& digest) {
  const auto generation = call.services.store.generation();
  const auto record = find_repository(call);
  if (const auto use = call.services.store.catalog().find_use(record.id, digest)) {
    auto file = std::make_shared<HotFile>();
    file->repo = record.id;
    file->gated = record.gated;
    file->reader = call.services.store.blobs().open(digest);
    file->version = blob_version(use->first, digest, file->reader->size_bytes());
    file->route = call.match.route->name;
    // Without the word "direct" the answer depends on more than the target.
    if (call.services.hot_files != nullptr && call.query.flag("direct")) {
      call.services.hot_files->put(call.request.target, generation, file);
    }
    return answer_file(call.request, file);
  }
  const auto made = find_text(call, kConfigFact, digest, {config_of, empty_config_of});
  if (!made) return std::nullopt;
  const auto version =
      std::make_shared<const FileVersion>(blob_version(made->at.commit, digest, made->text.size()));
  return answer_text(call.request, version, made->text);
}

// Before it fetches the parts of a blob, ollama asks for it once to learn where the bytes are, and
// reads nothing but Location; a redirect to this host would be followed instead (hub-protocol 2.7).
bool asks_where(const Call& call) {
  return call.request.method == "GET" && call.request.header("User-Agent").starts_with("ollama/") &&
         call.request.header("Range").empty() && call.query.find("direct") == nullptr;
}

}  // namespace

Response oci_manifest(const Call& call) {
  std::string manifest = find_manifest(call);
  const auto digest = sha256(as_bytes(manifest));
  Response response;
  response.set("Content-Type", parse_json(manifest, "manifest").find("mediaType")->as_string());
  response.body = std::move(manifest);
  response.set("Vary", "Accept, User-Agent");
  response.set("Docker-Content-Digest", std::string(kDigestPrefix) + to_hex(digest));
  response.set("ETag", "\"" + to_hex(digest) + "\"");
  response.set("Cache-Control", "no-cache");
  return response;
}

Response oci_tags(const Call& call) {
  const std::vector<std::string> tags = tags_of(read_revision(call, find_head(call)));
  const std::string* last = call.query.find("last");
  const auto first =
      last == nullptr ? tags.begin() : std::ranges::upper_bound(tags, *last, stands_before);
  const auto rest = static_cast<std::size_t>(tags.end() - first);
  const std::size_t count = std::min(rest, tags_wanted(call));
  const auto end = first + static_cast<std::ptrdiff_t>(count);
  Response response =
      json_response(Json::Object{{"name", call.match.repo}, {"tags", Json::Array(first, end)}});
  if (count > 0 && count < rest) response.set("Link", next_link(call, "last", *std::prev(end)));
  return response;
}

Response oci_blob(const Call& call) {
  const std::string_view name = call.match.revision;
  const auto digest = parse_oci_digest(name);
  auto found = digest ? answer_blob(call, *digest) : std::nullopt;
  if (!found) refuse_oci("BLOB_UNKNOWN", "This repository has no blob " + std::string(name));
  if (!asks_where(call)) return *std::move(found);
  Response response;
  response.set("Location", base_url(call) + "/v2/" + percent_encode(call.match.repo, true) +
                               "/blobs/" + std::string(name) + "?direct=true");
  return response;
}

Response unknown_oci(const Call&) {
  refuse_oci("UNSUPPORTED", "This server does not have that endpoint");
}

}  // namespace holdfast::web
