// Who asked for which repository: a name that another repository gets is another one to ask for.
#include <doctest/doctest.h>

#include "storage/base/error.h"
#include "tests/web/guarded.h"
#include "tests/web/writing.h"
#include "web/uploads.h"

namespace holdfast::web {
namespace {

using storage::Gate;
using storage::Right;
using storage::Standing;
using tests::Guarded;

struct Site : Guarded {
  Site() : Guarded({.anonymous_read = true, .local = false}) {
    services.uploads = &uploads;
    root = token("root", "", Right::Admin);
    book().put_user({.name = "ann"});
    ann = token("anns", "ann");
  }

  int post(const std::string& token, const char* method, const std::string& target,
           const std::string& body) const {
    return ask_as(token, {.method = method, .target = target, .body = body}).status;
  }

  void create(const std::string& repo) const {
    REQUIRE(post(root, "POST", "/api/repos/create", R"({"name":")" + repo + R"("})") == 200);
  }

  void remove(const std::string& repo) const {
    REQUIRE(post(root, "DELETE", "/api/repos/delete", R"({"name":")" + repo + R"("})") == 200);
  }

  void accept(const std::string& repo, const std::string& who) {
    book().put_request({.repo = storage::parse_repo_id(repo),
                        .who = who,
                        .standing = Standing::Accepted,
                        .asked_at = clock.now(),
                        .decided_at = clock.now(),
                        .decided_by = "operator"});
  }

  // Behind a gate that somebody has to open.
  int read_gated(const std::string& repo) {
    set_gate(repo, Gate::Manual);
    return get_as(ann, "/" + repo + "/resolve/main/.gitattributes").status;
  }

  std::string who_asked(const std::string& repo) {
    std::string all;
    for (const auto& request : book().requests(storage::parse_repo_id(repo)))
      all += request.who + " ";
    return all;
  }

  Uploads uploads;
  std::string root, ann;
};

}  // namespace

TEST_CASE("web/hub_create: who was let into a repository is not let into the next of its name") {
  Site hub;
  hub.create("me/m");
  hub.accept("me/m", "ann");
  CHECK(hub.read_gated("me/m") == 200);
  hub.remove("me/m");
  hub.create("me/m");
  CHECK(hub.read_gated("me/m") == 403);
  CHECK(hub.who_asked("me/m").empty());
}

TEST_CASE("web/hub_create: a creation that fails takes nobody's permission") {
  Site hub;
  hub.create("me/m");
  hub.accept("me/m", "ann");
  hub.remove("me/m");
  CHECK(hub.post(hub.root, "POST", "/api/repos/create",
                 R"({"name":"me/m","files":[{"path":"../x","content":""}]})") == 400);
  CHECK(hub.who_asked("me/m") == "ann ");
}

TEST_CASE("web/hub_settings: who was let in stays so when the repository moves") {
  Site hub;
  hub.create("me/old");
  hub.create("me/other");
  hub.accept("me/old", "ann");
  hub.accept("me/new", "eve");  // of a repository that is gone
  const std::string move = R"({"fromRepo":"me/old","toRepo":"me/)";
  CHECK(hub.post(hub.root, "POST", "/api/repos/move", move + "other\"}") == 409);
  CHECK(hub.who_asked("me/new") == "eve ");
  CHECK(hub.post(hub.root, "POST", "/api/repos/move", move + "new\"}") == 200);
  CHECK(hub.who_asked("me/new") == "ann ");
  CHECK(hub.read_gated("me/new") == 200);
}

TEST_CASE("web/hub_access: a token for other repositories agrees to nothing in its user's name") {
  Site hub;
  const std::string narrow = hub.token("narrow", "ann", Right::Read, {"other/*"});
  const auto ask = [&](const std::string& token, const char* target) {
    return hub.ask_as(token, {.method = "POST", .target = target});
  };
  hub.set_gate("org/tiny", Gate::Auto);
  const Response refused = ask(narrow, "/org/tiny/ask-access");
  CHECK(refused.status == 403);
  CHECK(refused.header("X-Error-Code") == "GatedRepo");
  CHECK(ask(narrow, "/-/ask-access/model/org/tiny").status == 403);
  CHECK(hub.who_asked("org/tiny").empty());
  CHECK(hub.get_as(hub.ann, "/org/tiny/resolve/main/config.json").status == 403);
  CHECK(ask(hub.ann, "/org/tiny/ask-access").status == 200);
  CHECK(hub.get_as(hub.ann, "/org/tiny/resolve/main/config.json").status == 200);
  const Response unknown = ask("", "/org/tiny/ask-access");
  CHECK(unknown.status == 401);
  CHECK(unknown.header("WWW-Authenticate").starts_with("Basic "));
}

}  // namespace holdfast::web
