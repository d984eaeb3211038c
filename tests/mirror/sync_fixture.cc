#include "tests/mirror/sync_fixture.h"

#include <cstdlib>
#include <iostream>
#include <map>
#include <set>

#include "storage/git/objects.h"

namespace holdfast::mirror {

std::string noise(std::size_t size, std::uint64_t seed) {
  std::string out;
  out.reserve(size + 8);
  std::uint64_t state = seed * 0x9e3779b97f4a7c15ULL + 1;
  while (out.size() < size) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    out.append(reinterpret_cast<const char*>(&state), sizeof state);
  }
  out.resize(size);
  return out;
}

std::vector<fakes::ImposterFile> sample_files() {
  using fakes::content_of;
  const auto shard = content_of(noise(950'000, 1));
  return {{.path = ".gitattributes", .content = content_of("*.safetensors filter=lfs\n")},
          {.path = "README.md", .content = content_of("---\nlicense: mit\n---\n# A model\n")},
          {.path = "config.json", .content = content_of("{\"model_type\": \"llama\"}")},
          {.path = "empty.txt", .content = content_of("")},
          {.path = "model-1.safetensors", .content = shard, .lfs = true},
          {.path = "model-2.safetensors", .content = content_of(noise(300'000, 2)), .lfs = true},
          {.path = "onnx/deep/model.bin", .content = content_of(noise(5'000, 3)), .lfs = true},
          {.path = "onnx/same.safetensors", .content = shard, .lfs = true},
          {.path = "tokenizer with space.json", .content = content_of(noise(700'000, 4))}};
}

std::uint64_t distinct_bytes(const std::vector<fakes::ImposterFile>& files) {
  std::set<std::string_view> seen;
  std::uint64_t bytes = 0;
  for (const auto& file : files) {
    if (seen.insert(file.content.bytes).second) bytes += file.content.bytes.size();
  }
  return bytes;
}

std::string check_mirrored(storage::Store& store, const GitOid& commit,
                           const std::vector<fakes::ImposterFile>& files) {
  const storage::RepoId repo{.owner = "org", .name = "m"};
  const auto revision = store.catalog().find_revision(repo, commit);
  if (!revision) return "the revision is not visible";
  const auto records = store.catalog().files(repo, commit, "");
  if (records.size() != files.size()) return "has " + std::to_string(records.size()) + " files";
  for (const auto& file : files) {
    const auto record = store.catalog().find_file(repo, commit, file.path);
    if (!record || !record->object) return file.path + ": no object";
    if (record->lfs != file.lfs) return file.path + ": LFS or not is wrong";
    if (storage::read_object(store.blobs(), *record->object, 1 << 30) != file.content.bytes) {
      return file.path + ": wrong bytes";
    }
    if (!file.lfs && record->blob != git_object_id("blob", as_bytes(file.content.bytes))) {
      return file.path + ": wrong git id";
    }
  }
  const auto git_commit = store.catalog().find_git_object(revision->git_commit);
  if (!git_commit || git_commit->type != "commit") return "the git commit is not stored";
  if (storage::git::parse_commit(git_commit->bytes).tree != revision->tree)
    return "wrong root tree";
  if (!store.catalog().find_git_object(revision->tree)) return "the root tree is not stored";
  return "";
}

bool have_git() {
  if (std::system("git http-backend --help >/dev/null 2>&1; git --version >/dev/null 2>&1") == 0) {
    return true;
  }
  std::cout << "SKIPPED: git does not run\n";
  return false;
}

std::uint64_t number_of(const Json::Object& result, std::string_view key) {
  const Json* const value = result.find(key);
  return value == nullptr ? ~std::uint64_t{0} : value->as_uint(key);
}

std::string text_of(const Json::Object& result, std::string_view key) {
  const Json* const value = result.find(key);
  return value == nullptr ? "absent" : value->as_string(key);
}

}  // namespace holdfast::mirror
