// An index of the words in names, tags and cards, for lists that are searched, filtered or sorted:
// without it each of them looks through the whole catalog. Never the truth: it lies in DATA/search,
// is made from the catalog by a thread of its own, follows the catalog's change feed, and is made
// anew when it is absent, damaged, or of another version. A crash at any moment loses nothing.
//
// What a search finds is as new as the catalog was when it was asked, unless more than
// kSearchBacklogMax repositories have changed since the index last looked; then it is as old as
// that. What the caller may not see neither counts nor moves a cursor.
//
// Thread-safe. Nothing is thrown for a broken index: search() then says nothing, and whoever asked
// looks through the catalog. Only `may_see` may throw, and then search() does.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "storage/repo_id.h"
#include "storage/store.h"

namespace holdfast::web {

struct SearchQuery;
struct SearchResult;

class SearchIndex {
 public:
  // Opens nothing yet. `store` is borrowed and outlives the index.
  explicit SearchIndex(storage::Store& store);
  SearchIndex(const SearchIndex&) = delete;
  SearchIndex& operator=(const SearchIndex&) = delete;
  ~SearchIndex();  // stops

  // Starts the thread, once. Without a change feed there is nothing to follow, and no thread.
  void start();
  // Ends the thread; what it had not committed is done after the next start.
  void stop() noexcept;

  // Waits until the index has had everything once, which a new one of a large catalog takes minutes
  // for. False when there is none to wait for: it was not started, was stopped, or cannot be
  // written.
  bool wait_until_whole();

  // Empty: everything may be seen.
  using MaySee = std::function<bool(const storage::RepoId&)>;

  // Nothing while there is no index, or it cannot be read.
  std::optional<SearchResult> search(const SearchQuery& query, const MaySee& may_see);

  struct Newest {
    std::vector<storage::RepoId> ids;
    std::size_t total = 0;  // of all there are
  };

  // Of all repositories, those that came here last stand first: `limit` of them behind the first
  // `first`. A page costs no more than its rows, wherever it lies. Nothing as search() says it.
  std::optional<Newest> newest(std::size_t first, std::size_t limit);

  struct Tag {
    std::string type;
    std::string id;
  };

  // The tags of the repositories of one kind that may be seen, by type and id, at most `per_type`
  // of each type. Nothing as search() says it.
  std::optional<std::vector<Tag>> tags(storage::RepoKind kind, std::size_t per_type,
                                       const MaySee& may_see);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace holdfast::web
