// A pack and the push of it, made by hand: what no git of today would send.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "storage/git/objects.h"
#include "storage/git/pack.h"
#include "storage/git/pkt_line.h"

namespace holdfast::tests {

class MadePack {
 public:
  GitOid add(storage::git::ObjectType type, const std::string& bytes) {
    objects_.push_back({.type = type, .bytes = bytes});
    return git_object_id(to_text(type), as_bytes(bytes));
  }

  GitOid blob(const std::string& bytes) { return add(storage::git::ObjectType::Blob, bytes); }

  GitOid tree(std::vector<storage::git::TreeEntry> entries) {
    return add(storage::git::ObjectType::Tree, storage::git::encode_tree(std::move(entries)));
  }

  GitOid commit(const GitOid& tree, std::vector<GitOid> parents = {},
                const std::string& message = "Made\n") {
    return add(storage::git::ObjectType::Commit,
               storage::git::encode_commit({.tree = tree,
                                            .parents = std::move(parents),
                                            .author = "A <a@b>",
                                            .committer = "A <a@b>",
                                            .author_time = {},
                                            .committer_time = {},
                                            .message = message}));
  }

  std::string bytes() const {
    std::string pack;
    storage::git::PackWriter writer(
        static_cast<std::uint32_t>(objects_.size()),
        [&](std::span<const std::byte> piece) { pack += as_text(piece); });
    for (const auto& object : objects_) {
      writer.begin(object.type, object.bytes.size());
      writer.add(as_bytes(object.bytes));
    }
    writer.finish();
    return pack;
  }

 private:
  std::vector<storage::git::Object> objects_;
};

struct RefMove {
  std::string ref;
  GitOid from, to;
};

// The body of a POST to git-receive-pack.
inline std::string push_of(const std::vector<RefMove>& moves, const MadePack& pack) {
  std::string body;
  for (const RefMove& move : moves) {
    std::string line = to_hex(move.from) + " " + to_hex(move.to) + " " + move.ref;
    if (body.empty()) line += std::string(1, '\0') + " report-status agent=made";
    body += storage::git::pkt(line + "\n");
  }
  return body + std::string(storage::git::kPktFlush) + pack.bytes();
}

}  // namespace holdfast::tests
