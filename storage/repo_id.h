// Names of repositories, checked once at the edge so that the rest may trust them.
#pragma once

#include <compare>
#include <optional>
#include <string>
#include <string_view>

namespace holdfast::storage {

enum class RepoKind { Model, Dataset };

// "model" / "dataset", as in keys and in the hub's API ("/api/{kind}s/…").
std::string_view to_text(RepoKind kind) noexcept;

// A repository's identity. Owner is empty for the hub's legacy one-part ids ("gpt2").
struct RepoId {
  RepoKind kind = RepoKind::Model;
  std::string owner;
  std::string name;

  auto operator<=>(const RepoId&) const = default;

  // "owner/name", or "name" when there is no owner.
  std::string full_name() const;
};

// "model/owner/name" — the key grammar of storage/FORMAT.md.
std::string to_text(const RepoId& id);

// Reads "owner/name" or "name", with an optional "dataset/", "datasets/", "model/" or "models/" in
// front. Rules as huggingface_hub checks them (utils/_validators.py): each part [A-Za-z0-9._-], at
// most 96 characters in all, no "--" or "..", no leading or trailing '-' or '.', not ending in
// ".git"; owners `api v2 datasets spaces -` are reserved. Throws Error(Invalid) naming the id and
// the broken rule.
RepoId parse_repo_id(std::string_view text);

// As parse_repo_id, but nothing instead of an error: for URLs.
std::optional<RepoId> find_repo_id(RepoKind kind, std::string_view full_name) noexcept;

}  // namespace holdfast::storage
