// How a verb reaches a data directory: over DATA/holdfast.sock when a server has it open, otherwise
// by opening the store in this process and calling the same handlers. Same requests, same answers.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "ops/config.h"
#include "storage/base/json.h"
#include "storage/store.h"

namespace holdfast::ops {

class ApiClient {
 public:
  virtual ~ApiClient() = default;

  // One request to the API under /-/api/v1; `body` is sent as JSON when it is not null. Returns the
  // answer's JSON. A 4xx or 5xx becomes the Error that it stands for, with the server's text.
  virtual Json call(std::string_view method, const std::string& target, const Json& body) = 0;

  // Waits for follow-up work of this process (scans); nothing to do when a server owns the store.
  virtual void finish() = 0;

  Json get(const std::string& target) { return call("GET", target, nullptr); }
};

// Whether a verb may make a store where there is none.
enum class StoreUse { Read, Create };

// Opens the configured data directory. Error(NotFound) when a reader finds no store there;
// Error(Conflict) when a store would be made in a folder that holds something else.
std::unique_ptr<storage::Store> open_store(const Config& config, StoreUse use);

// Connects or opens. Errors as open_store; Error(Conflict) when another process has the store open
// but does not answer.
std::unique_ptr<ApiClient> open_client(const Config& config, const Environment& environment,
                                       StoreUse use);

// Percent-encodes one path segment or query value.
std::string encode_component(std::string_view text);

}  // namespace holdfast::ops
