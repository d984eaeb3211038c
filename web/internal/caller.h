// Who asks, and how we call what he asks: addresses of connections and ids of requests.
// Thread-safe.
#pragma once

#include <string>
#include <string_view>

namespace holdfast::web {

// 15 hex digits that no other request of this process has, and hardly one of another.
std::string next_request_id();

// Whether an id that a client or a proxy gave may stand in our log and answer.
bool is_request_id(std::string_view text) noexcept;

// The other end's address as text; "" when the socket has none.
std::string peer_address(int socket);

// Whether the other end is on this machine, by TCP.
bool is_loopback_peer(int socket) noexcept;

}  // namespace holdfast::web
