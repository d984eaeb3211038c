// Which row of the route table a request meets. The table is the list of everything that is served;
// docs/hub-api.md shows it to people. Pure, thread-safe, throws nothing.
//
// A pattern is literal parts and holes. Holes: {kinds} "models" or "datasets"; {kind} "model" or
// "dataset"; {repo} a repository id of two parts or, failing that, one (in front of it "datasets/"
// at the root of the tree); {rev} one part, or three that start with a plain "refs"; {id} a number;
// {path} one or more parts, decoded and joined by '/'. The first row that fits wins.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "storage/repo_id.h"
#include "web/handler.h"

namespace holdfast::web {

struct Call;

// Where a handler may run: Inline on a socket's own thread (a few point look-ups), or Pool (scans,
// rendering, synced writes).
enum class Where { Inline, Pool };

// The taker of one request's body, made when its head is read; whatever it needs of the head it has
// copied. Destroying it before finish() leaves nothing visible. One owner; its calls come one after
// the other, on threads of the pool. What it throws becomes the answer, as with handlers.
class Receiver {
 public:
  virtual ~Receiver() = default;
  virtual void put(std::span<const std::byte> bytes) = 0;
  // All bytes came.
  virtual Response finish() = 0;
};

struct Route {
  std::string_view method;  // "GET" also answers HEAD; "ANY"
  std::string_view pattern;
  std::string_view name;  // label in metrics
  Response (*handler)(const Call&) = nullptr;
  Where where = Where::Pool;
  bool pulls = false;  // a repository or revision that is not here may be fetched for this
  // Of a row whose body may be large; its `handler` is take_whole, for a body that is here already.
  std::unique_ptr<Receiver> (*receive)(const Call&) = nullptr;
};

std::span<const Route> routes() noexcept;

struct Match {
  const Route* route = nullptr;  // nullptr: the path exists, but not for this method
  std::string allow;             // methods of the path, when route is nullptr
  storage::RepoKind kind = storage::RepoKind::Model;
  std::string repo;      // full name, decoded, not checked
  std::string revision;  // decoded
  std::string path;      // decoded
  std::uint64_t id = 0;
};

// Nothing when no row fits the path, or an escape in it is broken.
std::optional<Match> match(std::string_view method, std::string_view target);

// handle() for a request whose match is known: `found` is match(request.method, request.target).
Response handle(const Request& request, const Services& services,
                const std::optional<Match>& found);

// Whether its row wants a body that becomes part of the request.
bool takes_body(const std::optional<Match>& found) noexcept;

// The refusal, if its head alone earns the request one: nobody then has to keep its body. Nothing
// where an upstream may have what is not here. Looks things up: not for a socket's own thread.
std::optional<Response> refuse_head(const Request& request, const Services& services,
                                    const std::optional<Match>& found);

// What to say where handle() answered with `upstream_may_have_it`: starts to fetch the revision, or
// answers from what has come of it so far, or, where that will not do (git, manifests, pages), that
// it is coming. Writes a job row: not for a socket's own thread.
Response answer_by_pull(const Request& request, const Services& services,
                        const std::optional<Match>& found);

}  // namespace holdfast::web
