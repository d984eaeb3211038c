// Who may do what: users, their tokens and rights, private repositories, gated ones and who asked
// to pass. What a right means for a request is decided in web/.
//
// Everything is held in memory beside its rows, so a look-up reads nothing from disk. Every change
// but note_use() is one synced write: when a call returns it survives a power cut, when it throws
// nothing happened. Thread-safe; records are plain values, those that come as shared_ptr are shared
// with the book and never change. Of a token only the SHA-256 of its text is kept.
//
// Errors: Invalid (a name, a pattern), Conflict (the name is taken), NotFound, LimitExceeded, Io.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "storage/base/clock.h"
#include "storage/base/digest.h"
#include "storage/repo_id.h"

namespace holdfast::storage {

// Each holds what stands before it. Admin of a repository decides who may see it.
enum class Right : std::uint8_t { None, Read, Write, Admin };

std::string_view to_text(Right right) noexcept;  // "none", "read", "write", "admin"
std::optional<Right> parse_right(std::string_view text) noexcept;

// A right on every repository whose full name the pattern matches (storage/base/glob.h).
struct Grant {
  std::string pattern;
  Right right = Right::Read;

  bool operator==(const Grant&) const = default;
};

// Beside what stands here a user has every right on the repositories of the owner of his name.
struct User {
  std::string name;
  Right role = Right::None;  // on every repository, and on the server itself
  std::vector<Grant> grants;
  Time created_at;
};

struct Token {
  std::string name;  // no two tokens have one
  std::string user;  // "": nobody's, its scope is its right
  Right scope = Right::Read;
  std::vector<std::string> repos;  // patterns of full names; empty: all
  Time created_at;
  std::optional<Time> expires_at;
  std::optional<Time> last_used_at;
  Digest secret;  // SHA-256 of the token's text

  // Twelve digits that name it in logs: another token of the same name has others.
  std::string id() const;
};

// Who passes a gate: nobody needs to ask, everyone who asks, those whom an administrator lets pass.
enum class Gate : std::uint8_t { Open, Auto, Manual };

std::string_view to_text(Gate gate) noexcept;  // "open", "auto", "manual"
std::optional<Gate> parse_gate(std::string_view text) noexcept;

struct RepositoryRules {
  bool is_private = false;
  std::optional<Gate> gate;  // nothing: as upstream has it

  bool operator==(const RepositoryRules&) const = default;
};

enum class Standing : std::uint8_t { Pending, Accepted, Rejected };

std::string_view to_text(Standing standing) noexcept;  // "pending", "accepted", "rejected"
std::optional<Standing> parse_standing(std::string_view text) noexcept;

// Somebody's wish to pass a gate, and what became of it.
struct AccessRequest {
  RepoId repo;
  std::string who;  // a user's name, or "token:NAME"
  Standing standing = Standing::Pending;
  Time asked_at;
  Time decided_at;
  std::string decided_by;  // "": nobody has; "gate": it opens by itself
  std::string answers;     // what the form asked, as the client sent it (JSON)
};

class AccessBook {
 public:
  virtual ~AccessBook() = default;

  // Neither a user nor a token: nobody could sign in.
  virtual bool empty() const = 0;

  // By the SHA-256 of its text; nullptr when nobody has it. Whether it has expired is the caller's
  // to see.
  virtual std::shared_ptr<const Token> find_token(const Digest& secret) const = 0;
  virtual std::vector<Token> tokens() const = 0;  // by name
  virtual void add_token(const Token& token) = 0;
  // With its access requests.
  virtual void remove_token(std::string_view name) = 0;
  // Remembers a use; written at most once a minute, and not synced.
  virtual void note_use(const Token& token, Time now) = 0;

  virtual std::shared_ptr<const User> find_user(std::string_view name) const = 0;
  virtual std::vector<User> users() const = 0;  // by name
  // Adds the user, or replaces role and grants of the one there is.
  virtual void put_user(const User& user) = 0;
  // With its tokens and its access requests.
  virtual void remove_user(std::string_view name) = 0;

  // Rules outlive a repository: mirrored again, it is as private as it was.
  virtual RepositoryRules rules(const RepoId& repo) const = 0;
  virtual void put_rules(const RepoId& repo, const RepositoryRules& rules) = 0;
  virtual bool any_private() const = 0;

  virtual std::optional<AccessRequest> find_request(const RepoId& repo,
                                                    std::string_view who) const = 0;
  virtual std::vector<AccessRequest> requests(const RepoId& repo) const = 0;  // by who
  // Adds or replaces.
  virtual void put_request(const AccessRequest& request) = 0;
  // Puts these, all for `repo`, in the place of those there are: another repository that gets the
  // name is another one to ask for.
  virtual void replace_requests(const RepoId& repo, std::span<const AccessRequest> requests) = 0;
};

// A new token's text: "hf_" and 40 letters and digits from the system's random numbers, the form
// that the hub's clients take for a token (hub-protocol 6.1).
std::string make_token_text();

// Names of users and tokens: letters, digits, '.', '_' and '-', at most 96, as in a repository's
// owner, but for those that audit trails use ("operator", "anonymous", "gate"). Throws Invalid or
// Conflict, naming `what`.
void check_access_name(std::string_view what, std::string_view name);

}  // namespace holdfast::storage
