#include "convert/metadata.h"

#include <algorithm>

namespace holdfast::convert {

void Metadata::set(std::string key, MetadataValue value) {
  const auto found = std::ranges::find(entries_, key, &MetadataEntry::key);
  if (found != entries_.end()) {
    found->value = std::move(value);
    return;
  }
  entries_.push_back({std::move(key), std::move(value)});
}

const MetadataValue* Metadata::find(std::string_view key) const noexcept {
  const auto found = std::ranges::find(entries_, key, &MetadataEntry::key);
  return found == entries_.end() ? nullptr : &found->value;
}

bool Metadata::erase(std::string_view key) {
  return std::erase_if(entries_, [&](const MetadataEntry& entry) { return entry.key == key; }) > 0;
}

}  // namespace holdfast::convert
