#include "convert/open_source.h"

#include <filesystem>

#include "convert/convert.h"
#include "convert/revision_files.h"
#include "storage/base/error.h"

namespace holdfast::convert {

OpenedSource open_source(std::string_view source, storage::Store* store) {
  if (is_path(source)) {
    const std::filesystem::path path(source);
    if (path.extension() != ".gguf") return {.files = open_directory(source)};
    return {.files = open_model_file(source), .gguf = path.filename().string()};
  }
  const std::size_t at = source.find('@');
  const storage::RepoId repo = storage::parse_repo_id(source.substr(0, at));
  if (store == nullptr) fail(ErrorKind::Invalid, std::string(source) + ": needs a store");
  const std::string revision(at == source.npos ? "HEAD" : source.substr(at + 1));
  const auto commit = store->catalog().resolve(repo, revision);
  if (!commit) {
    fail(ErrorKind::NotFound, storage::describe_missing(store->catalog(), repo, revision));
  }
  return {.files = open_revision(*store, repo, *commit), .revision = DerivedSource{repo, *commit}};
}

}  // namespace holdfast::convert
