// What a git client asks of receive-pack (git's gitprotocol-pack, "Pushing Data To a Server").
// Pure; bad bytes are Error(Invalid), too many commands Error(LimitExceeded).
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "storage/base/digest.h"

namespace holdfast::web {

// One ref's change; zeros stand for a ref that is not there.
struct PushCommand {
  GitOid from, to;
  std::string ref;

  bool operator==(const PushCommand&) const = default;
};

struct PushRequest {
  std::vector<PushCommand> commands;
  bool reports = false;   // the client wants to hear what became of each
  std::size_t bytes = 0;  // of the request, up to and with the flush behind the commands
};

// Reads the commands at the start of a body; nothing while their end has not come.
std::optional<PushRequest> parse_push(std::string_view body);

}  // namespace holdfast::web
