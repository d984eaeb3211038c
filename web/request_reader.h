// Reads HTTP/1.0 and HTTP/1.1 requests (RFC 9112) out of a connection's bytes, in whatever slices
// they come, within the limits of limits.h. The grammar is Boost.Beast's parser, which refuses what
// could be read in two ways (a length beside chunks, two lengths) and takes a folded line for part
// of its value (RFC 9112, section 5.2). On top of it come one Host, no coding of a body but
// "chunked", and a bound of the number of fields, trailers included.
//
// One owner at a time. Throws nothing that a client can cause.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "web/handler.h"
#include "web/memory_budget.h"

namespace holdfast::web {

class RequestReader {
 public:
  RequestReader();
  RequestReader(const RequestReader&) = delete;
  RequestReader& operator=(const RequestReader&) = delete;
  ~RequestReader();

  // Forgets the request before and what was borrowed from it.
  void restart();

  // Head: the head is read, a body follows, and keep_body(), drop_body() or hand_body() has to say
  // what becomes of it.
  enum class State { NeedsMore, Head, Complete, Refused };

  // Takes bytes from the front of `unread` and returns how many. Bytes that belong to a piece which
  // is not whole yet (a start line, a header) are not taken: they come again with more behind them.
  std::size_t put(std::string_view unread);

  State state() const noexcept { return state_; }

  // How long the body is, where the head says so.
  std::optional<std::uint64_t> body_bytes() const;

  // In state Head: the body becomes part of the request, 413 above `bytes_max`. What it has beyond
  // kSmallBodyBytes is taken of `share`, which is borrowed; 503 when there is no more.
  void keep_body(std::uint64_t bytes_max, BudgetShare* share = nullptr);
  // In state Head: the body is read and forgotten, 413 above `bytes_max`.
  void drop_body(std::uint64_t bytes_max);
  // In state Head: put() hands the body's bytes to `sink` as they come, on its own thread. Once
  // that returns false the request is refused, with status 0: the sink knows why.
  using Sink = std::function<bool(std::string_view bytes)>;
  void hand_body(Sink sink);

  // Why the request is refused: 400, 413, 431, 503, 505 or 0.
  int status() const noexcept { return status_; }

  bool head_is_read() const;
  // The client waits for "100 Continue" before it sends the body.
  bool expects_continue() const;
  // Of a complete request: the connection stays open after the answer.
  bool keeps_alive() const;

  // Once the head is read: method, target, headers and what is kept of the body, borrowed until
  // restart().
  Request request();

 private:
  struct Parser;

  void refuse(int status) noexcept;
  bool bound_body(std::uint64_t bytes_max);
  bool take_headers();
  bool has_too_many_fields() const;

  std::unique_ptr<Parser> parser_;
  std::vector<Header> headers_;
  State state_ = State::NeedsMore;
  int status_ = 0;
};

}  // namespace holdfast::web
