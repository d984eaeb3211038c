// Building blocks that handlers share: JSON answers, refusals with the hub's error headers,
// absolute links, and the look-up of what a URL names. Thread-safe; Refusal is the only thing
// thrown here beside what the catalog throws.
#pragma once

#include <string>
#include <string_view>

#include "storage/base/digest.h"
#include "storage/base/error.h"
#include "storage/base/json.h"
#include "storage/catalog.h"
#include "web/internal/handlers.h"

namespace holdfast::web {

// An error with a ready answer: handle() sends it as it is.
class Refusal : public Error {
 public:
  Refusal(ErrorKind kind, const std::string& message, Response response)
      : Error(kind, message), response_(std::move(response)) {}

  const Response& response() const noexcept { return response_; }

 private:
  Response response_;
};

Response json_response(const Json& value, int status = 200);

// The hub's error form. `code` is X-Error-Code, "" sends none.
Response error_response(int status, std::string_view code, std::string_view message);

// With the time after which a client may come again: 503, or 429 where it is of his own making.
Response busy_response(std::string_view message, int status = 503);

// The form of a registry's errors (OCI distribution-spec 1.1, "Error Codes"), and of the hub's.
Response oci_error(int status, std::string_view code, std::string_view message);

// Throws a Refusal with error_response(…).
[[noreturn]] void refuse(int status, std::string_view code, std::string_view message);

// Runs a handler of something that its URL does not name: `subject` names it for the audit trail,
// in the answer as in a refusal, unless that has a subject of its own.
template <class Step>
Response about(const std::string& subject, Step step) {
  const auto name = [&](Response response) {
    if (response.subject.empty()) response.subject = subject;
    return response;
  };
  try {
    return name(step());
  } catch (const Refusal& refusal) {
    throw Refusal(refusal.kind(), refusal.what(), name(refusal.response()));
  }
}

// No header that we send may end its line, whatever a path or a message held.
void make_header_safe(Response& response);

// The status that a kind of error stands for.
int status_of(ErrorKind kind) noexcept;

// "https://hub.example.org/base", as the client sees us, without a slash at the end.
std::string base_url(const Call& call);

// The path part of external_url, "" or "/base": what stands in front of every path of ours.
std::string base_path(const Services& services);

// Link header of a page that has a next one: this request's URL with `name` set to `value`.
std::string next_link(const Call& call, std::string_view name, std::string_view value);

// The query's `limit`, at least 1 and at most `limit_max`, which is also the default.
std::size_t page_limit(const Call& call, std::size_t limit_max);

// Whether llama.cpp asks, or node-llama-cpp, which says that it is llama.cpp.
bool is_llama_cpp(const Request& request);

// The repository that the URL names. Refuses with 404 RepoNotFound, or with a 307 when one exists
// whose name differs in case only.
storage::RepositoryRecord find_repository(const Call& call);

struct RevisionAt {
  storage::RepoId id;
  GitOid commit;
  bool by_commit = false;  // the URL named the commit itself, so the answer never changes
};

// The revision that the URL names, `otherwise` when it names none. Refuses as find_repository, and
// with 404 RevisionNotFound.
RevisionAt find_revision(const Call& call, std::string_view otherwise = "main");

// 404 EntryNotFound that carries X-Repo-Commit; says why when the path exists upstream but lies
// outside the mirrored selection.
[[noreturn]] void refuse_entry(const RevisionAt& at, bool outside_selection);

// "models" and "datasets": the hub's plural.
std::string_view plural(storage::RepoKind kind) noexcept;

// The path of a repository's page: "/owner/name" or "/datasets/owner/name", encoded, with the base.
std::string page_path(const Services& services, const storage::RepoId& id);

}  // namespace holdfast::web
