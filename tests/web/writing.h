// The sample store with everything that writing needs, asked as by the operator.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

#include "tests/web/asking.h"
#include "web/limits.h"
#include "web/uploads.h"

namespace holdfast::tests {

// The first line of a commit, and lines as its body.
inline constexpr std::string_view kHeader = R"({"key":"header","value":{"summary":"Change"}})";

inline std::string lines(std::initializer_list<std::string_view> all) {
  std::string text;
  for (const std::string_view line : all) text.append(line).append("\n");
  return text;
}

struct Writing : Asking {
  Writing() { services.uploads = &uploads; }

  web::Uploads uploads;

  web::Response ask_trusted(Ask what) const {
    what.trusted = true;
    return ask(what);
  }

  web::Response post(std::string_view target, std::string_view body) const {
    return ask_trusted({.method = "POST", .target = target, .body = body});
  }

  void create(const std::string& repo) const {
    post("/api/repos/create", R"({"name":")" + repo + R"("})");
  }

  web::Response commit(const std::string& repo, const std::string& body,
                       const std::string& branch = "main") const {
    return post("/api/models/" + repo + "/commit/" + branch, body);
  }

  web::Response batch(const std::string& repo, const std::string& oid, std::uint64_t size) const {
    return post("/" + repo + ".git/info/lfs/objects/batch",
                R"({"operation":"upload","transfers":["basic","multipart"],"objects":[{"oid":")" +
                    oid + R"(","size":)" + std::to_string(size) + "}]}");
  }

  // Where an object that is not here is to be sent, without scheme and host.
  std::string upload_href(const std::string& repo, const std::string& oid,
                          std::uint64_t size) const {
    const Json json = json_of(batch(repo, oid, size));
    const Json* href =
        json.find("objects")->as_array().front().find_path({"actions", "upload", "href"});
    return href == nullptr ? "" : href->as_string().substr(std::string("http://127.0.0.1").size());
  }
};

}  // namespace holdfast::tests
