#include "web/internal/listing.h"

#include <algorithm>
#include <map>
#include <optional>

#include "storage/git/objects.h"

namespace holdfast::web {
namespace {

using Trees = std::map<std::string, GitOid, std::less<>>;  // directory path → tree

std::vector<storage::git::TreeEntry> read_tree(const storage::Catalog& catalog,
                                               const GitOid& tree) {
  const auto object = catalog.find_git_object(tree);
  if (!object || object->type != "tree") return {};
  return storage::git::parse_tree(object->bytes);
}

// Looks the trees of directories up from their parents, reading each tree once.
class TreeIds {
 public:
  TreeIds(const storage::Catalog& catalog, const GitOid& root) : catalog_(catalog) {
    known_.emplace("", root);
  }

  GitOid find(std::string_view directory) {
    if (const auto known = known_.find(directory); known != known_.end()) return known->second;
    const auto slash = directory.rfind('/');
    const std::string parent(slash == std::string_view::npos ? "" : directory.substr(0, slash));
    const GitOid parent_tree = find(parent);
    constexpr std::uint32_t kDirectoryMode = 040000;
    for (const auto& entry : read_tree(catalog_, parent_tree)) {
      if (entry.mode != kDirectoryMode) continue;
      known_.emplace(parent.empty() ? entry.name : parent + "/" + entry.name, entry.oid);
    }
    return known_.try_emplace(std::string(directory)).first->second;
  }

 private:
  const storage::Catalog& catalog_;
  Trees known_;
};

Entry file_entry(storage::FileRecord file) {
  Entry entry;
  entry.path = file.path;
  entry.oid = file.blob;
  entry.file = std::move(file);
  return entry;
}

// The directories between `above` characters of the path and its file name.
std::vector<std::string_view> directories_of(std::string_view path, std::size_t above) {
  std::vector<std::string_view> found;
  for (auto slash = path.find('/', above); slash != std::string_view::npos;
       slash = path.find('/', slash + 1)) {
    found.push_back(path.substr(0, slash));
  }
  return found;
}

}  // namespace

std::vector<Entry> list_entries(const storage::Catalog& catalog, const RevisionAt& at,
                                std::string_view directory, Depth depth) {
  const auto revision = catalog.find_revision(at.id, at.commit);
  TreeIds trees(catalog, revision ? revision->tree : GitOid{});
  const std::size_t above = directory.empty() ? 0 : directory.size() + 1;
  std::map<std::string, Entry, std::less<>> entries;
  for (auto& file : catalog.files(at.id, at.commit, directory)) {
    if (!file.object) continue;
    const auto directories = directories_of(file.path, above);
    for (const std::string_view path : directories) {
      if (entries.find(path) == entries.end()) {
        Entry entry{.directory = true, .path = std::string(path), .oid = trees.find(path)};
        entries.emplace(std::string(path), std::move(entry));
      }
      if (depth == Depth::Children) break;
    }
    if (depth == Depth::Everything || directories.empty()) {
      std::string path = file.path;
      entries.emplace(std::move(path), file_entry(std::move(file)));
    }
  }
  std::vector<Entry> sorted;
  sorted.reserve(entries.size());
  for (auto& [path, entry] : entries) sorted.push_back(std::move(entry));
  return sorted;
}

std::vector<storage::FileRecord> stored_files(const storage::Catalog& catalog,
                                              const RevisionAt& at) {
  auto files = catalog.files(at.id, at.commit, "");
  std::erase_if(files, [](const storage::FileRecord& file) { return !file.object; });
  return files;
}

GitOid tree_oid(const storage::Catalog& catalog, const GitOid& root, std::string_view directory) {
  return TreeIds(catalog, root).find(directory);
}

}  // namespace holdfast::web
