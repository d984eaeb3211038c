// Packs: many git objects in one stream (git's gitformat-pack, version 2).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "storage/git/objects.h"

namespace holdfast::storage::git {

// Writes a pack of whole objects, without deltas. Sequential; not thread-safe.
class PackWriter {
 public:
  using Sink = std::function<void(std::span<const std::byte>)>;

  // Exactly `count` objects must follow.
  PackWriter(std::uint32_t count, Sink sink);
  PackWriter(const PackWriter&) = delete;
  PackWriter& operator=(const PackWriter&) = delete;
  ~PackWriter();

  // Starts an object of `size_bytes`, whose content add() then brings; the object before must be
  // complete (else Error(Invalid)).
  void begin(ObjectType type, std::uint64_t size_bytes);
  void add(std::span<const std::byte> bytes);

  // Writes the checksum. Error(Invalid) unless all objects came, complete.
  void finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace holdfast::storage::git
