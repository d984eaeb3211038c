// An answer as it goes out: its head, and as much of its body as there is yet. A file that is still
// on its way here is handed on as it comes. One owner at a time.
#pragma once

#include <vector>

#include "storage/blob_store.h"
#include "web/handler.h"
#include "web/internal/outgoing.h"
#include "web/internal/response_head.h"

namespace holdfast::web {

class Delivery {
 public:
  // Puts the whole answer together, so that a stored object which turns out to be damaged is a 500
  // and not an answer that breaks off: `response` is then that. Borrows its text until all is sent.
  void start(const Request& request, Response& response, const HeadOptions& options);

  // Of a file that is still coming, something is left to hand on.
  bool is_waiting() const noexcept { return arriving_.length > 0; }

  // Hands on what has come since; false when no more will.
  bool take_more(const Request& request, const Response& response);

  Outgoing& outgoing() noexcept { return outgoing_; }

 private:
  std::vector<storage::Extent> take_ready(const storage::BlobReader& reader,
                                          storage::ByteRange range);

  Outgoing outgoing_;
  storage::ByteRange arriving_;  // what has not come yet
};

}  // namespace holdfast::web
