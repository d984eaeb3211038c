#include "ops/verbs/repository.h"

#include <fmt/format.h>

#include "storage/base/error.h"

namespace holdfast::ops {

std::string RepositorySource::target() const {
  std::string path(to_text(id.kind));
  if (!id.owner.empty()) path += "/" + encode_component(id.owner);
  return path + "/" + encode_component(id.name);
}

RepositorySource parse_repository_source(std::string_view text) {
  const std::size_t at = text.find('@');
  RepositorySource source{.id = storage::parse_repo_id(text.substr(0, at)), .revision = {}};
  if (at != std::string_view::npos) {
    source.revision = text.substr(at + 1);
    if (source.revision.empty()) {
      fail(ErrorKind::Invalid, fmt::format("\"{}\": nothing stands after '@'", text));
    }
  }
  return source;
}

std::string_view display_name(std::string_view repo) noexcept {
  constexpr std::string_view kModel = "model/";
  return repo.starts_with(kModel) ? repo.substr(kModel.size()) : repo;
}

Json get_about(ApiClient& client, const RepositorySource& source, const std::string& target) {
  try {
    return client.get(target);
  } catch (const Error& error) {
    const std::string_view text = error.what();
    if (text.starts_with(source.id.full_name() + ":")) throw;  // says which by itself
    const std::string revision = source.revision.empty() ? "" : "@" + source.revision;
    fail(error.kind(), fmt::format("{}{}: {}", source.id.full_name(), revision, error.what()));
  }
}

}  // namespace holdfast::ops
