#include "web/hot_files.h"

namespace holdfast::web {
namespace {

std::string key_of(const storage::RepoId& id, const GitOid& commit, std::string_view path) {
  std::string key = storage::to_text(id);
  key.append(1, '\0').append(reinterpret_cast<const char*>(commit.bytes.data()),
                             commit.bytes.size());
  return key.append(path);
}

}  // namespace

HotFiles::HotFiles(std::chrono::milliseconds fresh_for, std::size_t files_max)
    : fresh_for_(fresh_for), files_max_(files_max) {}

std::shared_ptr<const OpenFile> HotFiles::find(std::string_view key) {
  const auto now = std::chrono::steady_clock::now();
  auto entries = entries_.lock();
  const auto found = entries->find(std::string(key));
  if (found == entries->end()) return nullptr;
  if (found->second.stale_at > now) return found->second.file;
  entries->erase(found);
  return nullptr;
}

void HotFiles::put(std::string key, std::shared_ptr<const OpenFile> file) {
  const auto stale_at = std::chrono::steady_clock::now() + fresh_for_;
  auto entries = entries_.lock();
  // A full table is dropped whole: it refills within milliseconds, and needs no bookkeeping.
  if (entries->size() >= files_max_) entries->clear();
  entries->insert_or_assign(std::move(key), Entry{std::move(file), stale_at});
}

std::shared_ptr<const OpenFile> open_file(const Services& services, const storage::RepoId& id,
                                          const GitOid& commit, std::string_view path) {
  std::string key;
  if (services.hot_files != nullptr) {
    key = key_of(id, commit, path);
    if (auto held = services.hot_files->find(key)) return held;
  }
  const auto record = services.store.catalog().find_file(id, commit, path);
  if (!record) return nullptr;
  auto file = std::make_shared<OpenFile>();
  file->etag = record->etag();
  if (record->object) file->reader = services.store.blobs().open(*record->object);
  if (services.hot_files != nullptr) services.hot_files->put(std::move(key), file);
  return file;
}

}  // namespace holdfast::web
