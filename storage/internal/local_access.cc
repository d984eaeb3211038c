#include "storage/internal/local_access.h"

#include <map>
#include <mutex>
#include <shared_mutex>
#include <span>
#include <unordered_map>
#include <utility>

#include "storage/base/error.h"
#include "storage/internal/access_rows.h"
#include "storage/internal/keys.h"
#include "storage/limits.h"

namespace holdfast::storage {
namespace {

constexpr std::string_view kTokens{"token\0", 6};
constexpr std::string_view kUsers{"user\0", 5};
constexpr std::string_view kRules{"rules\0", 6};
constexpr std::string_view kRequests{"request\0", 8};
constexpr std::chrono::minutes kUseGrain{1};

std::string key(std::string_view prefix, std::string_view name) {
  return std::string(prefix) + std::string(name);
}

std::string request_key(const RepoId& repo, std::string_view who) {
  return key(kRequests, to_text(repo)) + '\0' + std::string(who);
}

void check_answers(const AccessRequest& request) {
  if (request.answers.size() <= kAnswersBytesMax) return;
  fail(ErrorKind::LimitExceeded,
       "answers: expected at most " + std::to_string(kAnswersBytesMax) + " bytes");
}

void check_patterns(const std::vector<std::string>& patterns) {
  if (patterns.size() > kPatternsMax) {
    fail(ErrorKind::LimitExceeded,
         "repo: expected at most " + std::to_string(kPatternsMax) + " patterns");
  }
  for (const std::string& pattern : patterns) {
    if (!pattern.empty() && pattern.size() <= kPatternBytesMax) continue;
    fail(ErrorKind::Invalid, "repo: expected a pattern of 1 to " +
                                 std::to_string(kPatternBytesMax) + " bytes, found \"" + pattern +
                                 "\"");
  }
}

// Who asked, and for what.
using RequestName = std::pair<RepoId, std::string>;

class LocalAccess final : public AccessBook {
 public:
  explicit LocalAccess(Database& database) : database_(database) {
    const auto read = [this](std::string_view prefix, auto take) {
      database_.scan(Family::Token, prefix, [&](std::string_view, std::string_view value) {
        take(value);
        return true;
      });
    };
    read(kTokens, [this](std::string_view row) { hold(decode_token(row)); });
    read(kUsers, [this](std::string_view row) { hold(decode_user(row)); });
    read(kRules, [this](std::string_view row) {
      const RulesRow rules = decode_rules(row);
      hold(rules.repo, rules.rules);
    });
    read(kRequests, [this](std::string_view row) {
      AccessRequest request = decode_request(row);
      RequestName name{request.repo, request.who};
      requests_.emplace(std::move(name), std::move(request));
    });
  }

  bool empty() const override {
    const std::shared_lock reading(mutex_);
    return tokens_.empty() && users_.empty();
  }

  std::shared_ptr<const Token> find_token(const Digest& secret) const override {
    const std::shared_lock reading(mutex_);
    const auto found = tokens_.find(secret);
    return found == tokens_.end() ? nullptr : found->second;
  }

  std::vector<Token> tokens() const override {
    const std::shared_lock reading(mutex_);
    std::vector<Token> all;
    for (const auto& [name, secret] : token_names_) all.push_back(*tokens_.at(secret));
    return all;
  }

  void add_token(const Token& token) override {
    check_access_name("token", token.name);
    check_patterns(token.repos);
    const std::lock_guard changing(changing_);
    if (token_names_.contains(token.name))
      fail(ErrorKind::Conflict, "token \"" + token.name + "\" exists already");
    if (!token.user.empty() && !users_.contains(token.user))
      fail(ErrorKind::NotFound, "user \"" + token.user + "\" does not exist");
    if (tokens_.size() >= kTokensMax)
      fail(ErrorKind::LimitExceeded, "expected at most " + std::to_string(kTokensMax) + " tokens");
    write(key(kTokens, token.name), encode_token(token));
    const std::unique_lock writing(mutex_);
    hold(token);
  }

  void remove_token(std::string_view name) override {
    const std::lock_guard changing(changing_);
    const auto found = token_names_.find(name);
    if (found == token_names_.end())
      fail(ErrorKind::NotFound, "token \"" + std::string(name) + "\" does not exist");
    Batch batch(database_);
    batch.erase(Family::Token, key(kTokens, name));
    // Another token that gets this name has to ask again.
    const std::string who = "token:" + std::string(name);
    erase_requests(batch, who);
    database_.write(batch);
    const std::unique_lock writing(mutex_);
    tokens_.erase(found->second);
    token_names_.erase(found);
    forget_requests(who);
  }

  void note_use(const Token& token, Time now) override {
    if (token.last_used_at && now - *token.last_used_at < kUseGrain) return;
    // Whoever changes something now may wait for the disk; a request does not wait with him.
    const std::unique_lock changing(changing_, std::try_to_lock);
    if (!changing.owns_lock()) return;
    const auto found = tokens_.find(token.secret);
    // Gone meanwhile, or another request was faster.
    if (found == tokens_.end() || found->second->last_used_at != token.last_used_at) return;
    Token used = token;
    used.last_used_at = now;
    Batch batch(database_);
    batch.put(Family::Token, key(kTokens, token.name), encode_token(used));
    database_.write_lazily(batch);
    const std::unique_lock writing(mutex_);
    found->second = std::make_shared<const Token>(std::move(used));
  }

  std::shared_ptr<const User> find_user(std::string_view name) const override {
    const std::shared_lock reading(mutex_);
    const auto found = users_.find(name);
    return found == users_.end() ? nullptr : found->second;
  }

  std::vector<User> users() const override {
    const std::shared_lock reading(mutex_);
    std::vector<User> all;
    for (const auto& [name, user] : users_) all.push_back(*user);
    return all;
  }

  void put_user(const User& user) override {
    check_access_name("user", user.name);
    std::vector<std::string> patterns;
    for (const Grant& grant : user.grants) patterns.push_back(grant.pattern);
    check_patterns(patterns);
    const std::lock_guard changing(changing_);
    const auto found = users_.find(user.name);
    User stored = user;
    if (found != users_.end()) stored.created_at = found->second->created_at;
    if (found == users_.end() && users_.size() >= kUsersMax)
      fail(ErrorKind::LimitExceeded, "expected at most " + std::to_string(kUsersMax) + " users");
    write(key(kUsers, user.name), encode_user(stored));
    const std::unique_lock writing(mutex_);
    hold(std::move(stored));
  }

  void remove_user(std::string_view name) override {
    const std::lock_guard changing(changing_);
    const auto found = users_.find(name);
    if (found == users_.end())
      fail(ErrorKind::NotFound, "user \"" + std::string(name) + "\" does not exist");
    Batch batch(database_);
    batch.erase(Family::Token, key(kUsers, name));
    std::vector<Digest> secrets;
    for (const auto& [secret, token] : tokens_) {
      if (token->user != name) continue;
      batch.erase(Family::Token, key(kTokens, token->name));
      secrets.push_back(secret);
    }
    erase_requests(batch, name);
    database_.write(batch);
    const std::unique_lock writing(mutex_);
    for (const Digest& secret : secrets) {
      token_names_.erase(tokens_.at(secret)->name);
      tokens_.erase(secret);
    }
    forget_requests(name);
    users_.erase(found);
  }

  RepositoryRules rules(const RepoId& repo) const override {
    const std::shared_lock reading(mutex_);
    const auto found = rules_.find(repo);
    return found == rules_.end() ? RepositoryRules{} : found->second;
  }

  void put_rules(const RepoId& repo, const RepositoryRules& rules) override {
    const std::lock_guard changing(changing_);
    Batch batch(database_);
    const std::string row = key(kRules, to_text(repo));
    if (rules == RepositoryRules{}) {
      batch.erase(Family::Token, row);
    } else {
      batch.put(Family::Token, row, encode_rules({.repo = repo, .rules = rules}));
    }
    database_.write(batch);
    const std::unique_lock writing(mutex_);
    hold(repo, rules);
  }

  bool any_private() const override {
    const std::shared_lock reading(mutex_);
    return private_count_ > 0;
  }

  std::optional<AccessRequest> find_request(const RepoId& repo,
                                            std::string_view who) const override {
    const std::shared_lock reading(mutex_);
    const auto found = requests_.find(RequestName{repo, std::string(who)});
    if (found == requests_.end()) return std::nullopt;
    return found->second;
  }

  std::vector<AccessRequest> requests(const RepoId& repo) const override {
    const std::shared_lock reading(mutex_);
    std::vector<AccessRequest> all;
    for (auto at = requests_.lower_bound(RequestName{repo, ""});
         at != requests_.end() && at->first.first == repo; ++at) {
      all.push_back(at->second);
    }
    return all;
  }

  void put_request(const AccessRequest& request) override {
    check_answers(request);
    const std::lock_guard changing(changing_);
    write(request_key(request.repo, request.who), encode_request(request));
    const std::unique_lock writing(mutex_);
    requests_.insert_or_assign(RequestName{request.repo, request.who}, request);
  }

  void replace_requests(const RepoId& repo, std::span<const AccessRequest> requests) override {
    const std::lock_guard changing(changing_);
    const std::vector<AccessRequest> before = this->requests(repo);
    if (before.empty() && requests.empty()) return;
    Batch batch(database_);
    for (const AccessRequest& request : before) {
      batch.erase(Family::Token, request_key(repo, request.who));
    }
    for (const AccessRequest& request : requests) {
      check_answers(request);
      batch.put(Family::Token, request_key(repo, request.who), encode_request(request));
    }
    database_.write(batch);
    const std::unique_lock writing(mutex_);
    for (const AccessRequest& request : before) requests_.erase(RequestName{repo, request.who});
    for (const AccessRequest& request : requests) {
      requests_.insert_or_assign(RequestName{repo, request.who}, request);
    }
  }

 private:
  void write(std::string_view row, std::string_view value) {
    Batch batch(database_);
    batch.put(Family::Token, row, value);
    database_.write(batch);
  }

  void erase_requests(Batch& batch, std::string_view who) const {
    for (const auto& [name, request] : requests_) {
      if (name.second == who) batch.erase(Family::Token, request_key(name.first, who));
    }
  }

  void forget_requests(std::string_view who) {
    std::erase_if(requests_, [&](const auto& row) { return row.first.second == who; });
  }

  void hold(Token token) {
    token_names_.emplace(token.name, token.secret);
    const Digest secret = token.secret;
    tokens_.insert_or_assign(secret, std::make_shared<const Token>(std::move(token)));
  }

  void hold(User user) {
    std::string name = user.name;
    users_.insert_or_assign(std::move(name), std::make_shared<const User>(std::move(user)));
  }

  void hold(const RepoId& repo, const RepositoryRules& rules) {
    RepositoryRules& held = rules_[repo];
    if (held.is_private) --private_count_;
    if (rules.is_private) ++private_count_;
    held = rules;
    if (rules == RepositoryRules{}) rules_.erase(repo);
  }

  Database& database_;
  // Held by who changes something, while he writes it: so rows and memory change in one order, and
  // he may read what is held without `mutex_`, which no reader ever holds for longer than a look.
  std::mutex changing_;
  mutable std::shared_mutex mutex_;
  std::unordered_map<Digest, std::shared_ptr<const Token>> tokens_;
  std::map<std::string, Digest, std::less<>> token_names_;
  std::map<std::string, std::shared_ptr<const User>, std::less<>> users_;
  std::map<RepoId, RepositoryRules> rules_;
  std::size_t private_count_ = 0;
  std::map<RequestName, AccessRequest> requests_;
};

}  // namespace

std::unique_ptr<AccessBook> make_local_access(Database& database) {
  return std::make_unique<LocalAccess>(database);
}

}  // namespace holdfast::storage
