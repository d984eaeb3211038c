#include "tests/web/sample_store.h"

#include "storage/git/objects.h"
#include "storage/repo_id.h"

namespace holdfast::tests {
namespace {

using storage::FileRecord;

const Time kCommitTime = *parse_time("2026-01-02T03:04:05.000Z");

constexpr std::string_view kReadme =
    "---\nlicense: mit\ntags:\n- tiny\nlanguage: [en]\n---\n# Tiny\n\nA *small* model.\n\n"
    "![chart](chart.png) ![badge](https://img.example.org/badge.svg)\n\n"
    "[config](config.json), <script>alert(1)</script>\n\n| a | b |\n|---|---|\n| 1 | 2 |\n";

FileRecord store_file(storage::Store& store, const SampleFile& file) {
  FileRecord record;
  record.path = file.path;
  record.size_bytes = file.bytes.size();
  record.lfs = file.lfs;
  const Digest digest = sha256(as_bytes(file.bytes));
  if (file.lfs) {
    const std::string pointer = storage::git::lfs_pointer(digest, file.bytes.size());
    record.blob = git_object_id("blob", as_bytes(pointer));
    record.pointer_bytes = pointer.size();
  } else {
    record.blob = git_object_id("blob", as_bytes(file.bytes));
  }
  if (!file.selected) return record;
  auto writer = store.blobs().create(
      {.lease_key = "sample/" + to_hex(digest), .size_bytes = file.bytes.size()});
  if (!file.bytes.empty()) writer->append(as_bytes(file.bytes));
  record.object = writer->commit(digest);
  return record;
}

Json card_fact() {
  return Json::Object{{"front_matter", Json::Object{{"license", "mit"},
                                                    {"tags", Json::Array{"tiny"}},
                                                    {"language", Json::Array{"en"}}}},
                      {"license", "mit"},
                      {"tags", Json::Array{"tiny"}},
                      {"pipeline_tag", "text-generation"},
                      {"library_name", "transformers"},
                      {"base_model", Json::Array{"org/base"}},
                      {"parameters", Json::Object{{"total", 1500000},
                                                  {"by_dtype", Json::Object{{"BF16", 1500000}}}}},
                      {"formats", Json::Array{"safetensors", "gguf"}}};
}

Json gguf_fact() {
  return Json::Object{{"kind", "gguf"},
                      {"tensors", 12},
                      {"parameters", Json::Object{{"total", 1500000}}},
                      {"metadata", Json::Object{{"general.architecture", "llama"},
                                                {"llama.context_length", 2048}}}};
}

}  // namespace

std::string pattern_bytes(std::size_t size_bytes) {
  std::string bytes(size_bytes, '\0');
  std::uint32_t state = 12345;
  for (char& byte : bytes) {
    state = state * 1664525U + 1013904223U;
    byte = static_cast<char>(state >> 24U);
  }
  return bytes;
}

GitOid publish(storage::Store& store, const SampleRepository& sample) {
  storage::Publication publication;
  for (const auto& file : sample.files) publication.files.push_back(store_file(store, file));
  const auto snapshot = storage::git::make_snapshot(
      publication.files,
      {.parents = sample.parents, .time = kCommitTime, .message = sample.message});
  for (const auto& [oid, object] : snapshot.objects) {
    publication.git_objects.emplace_back(
        oid, storage::GitObjectRecord{std::string(to_text(object.type)), object.bytes});
  }
  publication.repository = {.id = storage::parse_repo_id(sample.id),
                            .origin = "https://upstream.example.org",
                            .default_branch = "main",
                            .gated = sample.gated,
                            .created_at = sample.created_at.value_or(kCommitTime),
                            .updated_at = kCommitTime,
                            .upstream_info = sample.upstream_info};
  publication.revision = {.commit = snapshot.commit,
                          .git_commit = snapshot.commit,
                          .tree = snapshot.tree,
                          .time = kCommitTime,
                          .title = "Add files",
                          .stored_at = kCommitTime};
  publication.refs = {{"refs/heads/main", snapshot.commit},
                      {"refs/tags/v1", snapshot.commit},
                      {"refs/pr/1", snapshot.commit}};
  publication.evidence =
      storage::Evidence{Json::Object{{"endpoint", "https://upstream.example.org"}}};
  store.catalog().publish(publication);
  if (!sample.facts.empty()) {
    store.catalog().put_facts(publication.repository.id, snapshot.commit, sample.facts);
  }
  return snapshot.commit;
}

void fill_sample(storage::Store& store, std::size_t weights_bytes) {
  publish(store, {.id = "org/tiny",
                  .files = {{"README.md", std::string(kReadme)},
                            {"config.json", "{\"model_type\": \"llama\"}\n"},
                            {"empty.txt", ""},
                            {"index.html", "<script>alert(1)</script>"},
                            {"model.safetensors", pattern_bytes(weights_bytes), true},
                            {"onnx/deep/model.onnx", pattern_bytes(70'000), true},
                            {"onnx/readme.txt", "onnx\n"},
                            {"pytorch_model.bin", pattern_bytes(1000), true, false},
                            {"sub dir/naïve \"file\".txt", "quoted\n"},
                            {"tiny-Q4_0.gguf", pattern_bytes(5000), true}},
                  .facts = {{"card", card_fact()}, {"file/tiny-Q4_0.gguf", gguf_fact()}}});
  publish(store, {.id = "Example/CamelCase", .files = {{"config.json", "{}"}}, .facts = {}});
  publish(store, {.id = "gpt2", .files = {{"config.json", "{}"}}, .facts = {}});
  publish(store, {.id = "dataset/org/data", .files = {{"data.csv", "a,b\n1,2\n"}}, .facts = {}});
  const storage::Hole hole{.repo = storage::parse_repo_id("org/tiny"),
                           .commit = {},
                           .path = "lost.bin",
                           .reason = "upstream says 403",
                           .since = kCommitTime};
  store.catalog().put_holes({&hole, 1});
}

SampleStore::SampleStore() : store(storage::Store::open({.directory = directory.path() / "data"})) {
  fill_sample(*store);
}

GitOid SampleStore::commit(const std::string& id) const {
  return store->catalog().resolve(storage::parse_repo_id(id), "main").value();
}

}  // namespace holdfast::tests
