// The whole of the inside as one function: a request in, a response out, no socket.
//
// The server calls handle() for every request; ops calls it in-process for verbs when no server
// runs. Thread-safe. A Request borrows everything and need only live for the call; a Response owns
// everything and keeps the bytes it names readable.
//
// Errors: handle() does not throw for anything a client sent or the store said; holdfast::Error
// becomes a status by kind (hub-protocol 1.6: X-Error-Code, X-Error-Message, JSON body).
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "storage/base/clock.h"
#include "storage/base/json.h"
#include "storage/blob_store.h"
#include "storage/pull_through.h"
#include "storage/store.h"

namespace holdfast::web {

class Metrics;
class NameIndex;
class HotFiles;
class Uploads;
class Access;
class Xet;
class SearchIndex;
class MemoryBudget;
class Quotas;
class GitPacks;
struct Caller;

// Whether two names of headers, or other words of HTTP, are the same in any case.
bool same_name(std::string_view a, std::string_view b) noexcept;

struct Header {
  std::string_view name;
  std::string_view value;
};

struct Request {
  std::string_view method = "GET";
  std::string_view target = "/";  // as it stands in the request line, encoded
  std::span<const Header> headers;
  std::string_view body;
  std::string_view scheme = "http";  // of the connection
  std::string_view id;               // X-Request-Id of the answer; "" sends none
  bool trusted = false;              // came by the Unix socket, or from this process
  bool loopback = false;             // came by TCP from this machine
  bool forwarded = false;            // a proxy that we trust brought it: its headers say for whom
  bool on_socket = false;            // handled on a socket's own thread, where nothing takes long
  std::string_view client;           // its address; "" when nobody knows
  std::chrono::seconds limited{0};   // not zero: too many requests, and for how long yet
  const Caller* caller = nullptr;    // who asks (access.h); nullptr: handle() finds out

  // The first header of that name, whatever its case; "" when absent.
  std::string_view header(std::string_view name) const noexcept;
};

// A part of a stored object as a body. Shared with the cache of open objects, if there is one.
struct ObjectSlice {
  std::shared_ptr<const storage::BlobReader> reader;
  storage::ByteRange range;
};

// How much of what a request asks for was here, where upstream may have it.
enum class Held { Whole, Part, Nothing };

struct Response {
  int status = 200;
  // Without what the server adds to every answer: Content-Length, Date, the hub's CORS headers,
  // nosniff.
  std::vector<std::pair<std::string, std::string>> headers;
  // More of them as ready lines, each ended by CR LF; nullptr: none. Shared by the answers with one
  // file (hot_files.h).
  std::shared_ptr<const std::string> header_lines;
  std::variant<std::string, ObjectSlice> body;
  // Not zero: nothing has changed yet; the server may ask again for up to this long before it
  // sends the answer (the long poll of jobs).
  std::chrono::milliseconds wait_max{0};
  // What lives while the answer may be asked for again: the place in a line, say.
  std::shared_ptr<const void> kept;
  // Not here, but answer_by_pull() may know more.
  bool upstream_may_have_it = false;
  Held held = Held::Whole;
  // No answer: what it takes is not for a socket's own thread (Request::on_socket).
  bool needs_pool = false;
  // Whom or what a change of rights was about, for the audit trail: "token ci", "user ann".
  std::string subject;
  std::string_view route = "none";  // the row that answered, for metrics; static storage

  void set(std::string name, std::string value) {
    headers.emplace_back(std::move(name), std::move(value));
  }

  // The first header of that name, whatever its case; "" when absent.
  std::string_view header(std::string_view name) const noexcept;
  std::uint64_t body_bytes() const noexcept;
};

// What handlers work with; everything borrowed outlives the calls.
struct Services {
  storage::Store& store;
  std::string version = "0";
  std::string external_url;              // "https://hub.example.org/base"; "" derives it from Host
  std::string authority = "127.0.0.1";   // used where a request has no Host
  const Clock* clock = &system_clock();  // borrowed
  Time started{};
  const std::atomic<bool>* draining = nullptr;  // borrowed; nullptr: it never is
  Metrics* metrics = nullptr;                   // borrowed; nullptr: /-/metrics is empty
  NameIndex* names = nullptr;            // borrowed; nullptr: no redirects for ids in wrong case
  SearchIndex* search = nullptr;         // borrowed; nullptr: lists look through the catalog
  HotFiles* hot_files = nullptr;         // borrowed; nullptr: every request opens its object
  Uploads* uploads = nullptr;            // borrowed; nullptr: large files are not taken in
  Access* access = nullptr;              // borrowed; nullptr: everyone may read everything
  Xet* xet = nullptr;                    // borrowed; nullptr: files are read by plain HTTP alone
  Quotas* quotas = nullptr;              // borrowed; nullptr: nothing bounds what an owner keeps
  MemoryBudget* commit_lines = nullptr;  // borrowed; of all commits under way; nullptr: no bound
  GitPacks* packs = nullptr;             // borrowed; of all clones under way; nullptr: no bound
  storage::PullThrough* pull = nullptr;  // borrowed; nullptr: what is not here is not found
  std::function<Json::Object()> mirrors = {};      // what /-/api/v1/mirrors shows
  std::function<std::string()> more_metrics = {};  // of other parts, in the exposition format
  std::string webhook_secret = {};                 // of the hub's webhooks; "": they are refused
};

Response handle(const Request& request, const Services& services);

// The same answer when it can be given from memory alone, without a look-up; else nothing.
std::optional<Response> handle_hot(const Request& request, const Services& services);

}  // namespace holdfast::web
