#include <doctest/doctest.h>

#include "storage/base/error.h"
#include "tests/web/browsing.h"
#include "web/limits.h"

namespace holdfast::web {
namespace {

using storage::JobState;
using storage::Right;
using tests::Browser;
using tests::Guarded;
using tests::shows;

// Jobs in three states, and an administrator and a reader who look at them.
struct Working {
  Guarded hub;
  Browser root{hub}, reader{hub};
  storage::JobId queued, done, failed;

  Working() {
    auto& jobs = hub.sample.store->jobs();
    done = jobs.enqueue("scan", "a", {{"repo", "model/org/tiny"}});
    jobs.run_one(done,
                 [](const storage::Job&, storage::JobContext& context) {
                   context.log("looked at <everything>");
                   return Json::Object{};
                 },
                 {});
    failed = jobs.enqueue("sync", "b", {{"repo", "model/org/other"}});
    jobs.run_one(failed,
                 [](const storage::Job&, storage::JobContext&) -> Json::Object {
                   fail(ErrorKind::Unavailable, "upstream: silent");
                 },
                 {});
    queued = jobs.enqueue("sync", "c", {{"repo", "model/org/new"}});
    root.sign_in(hub.token("r", "", Right::Admin));
    reader.sign_in(hub.token("w"));
  }

  JobState state(storage::JobId id) { return hub.sample.store->jobs().find(id)->state; }
};

std::string place(storage::JobId id) { return "/-/jobs/" + std::to_string(id); }

}  // namespace

TEST_CASE("web/jobs_page: a job has a page with its state, its error and its log") {
  const Working site;
  CHECK(shows(site.reader.get("/-/jobs"), "href=\"" + place(site.done) + "\""));
  const Response done = site.reader.get(place(site.done));
  CHECK(done.status == 200);
  CHECK(shows(done, "state-done"));
  CHECK(shows(done, "model/org/tiny"));
  CHECK(shows(done, "looked at &lt;everything&gt;"));
  CHECK(done.header("Refresh").empty());
  CHECK(shows(site.reader.get(place(site.failed)), "upstream: silent"));
  CHECK(site.reader.get(place(site.queued)).header("Refresh") == "5");
  CHECK(site.reader.get("/-/jobs/999").status == 404);
  CHECK(Browser(site.hub).get(place(site.done)).status == 401);
}

TEST_CASE("web/jobs_page: a job without lines says whether any may come") {
  Working site;
  CHECK(shows(site.reader.get(place(site.queued)), "No line yet."));
  CHECK(shows(site.reader.get(place(site.failed)), "No line was written."));
  auto& jobs = site.hub.sample.store->jobs();
  jobs.run_one(site.queued,
               [&](const storage::Job&, storage::JobContext&) {
                 CHECK(shows(site.reader.get(place(site.queued)), "No line yet."));
                 return Json::Object{};
               },
               {});
  CHECK(shows(site.reader.get(place(site.queued)), "No line was written."));
}

TEST_CASE("web/jobs_page: a done job says what it left undone, wherever it is shown") {
  struct Case {
    const char* name;
    Json::Object result;
    const char* shortfall;  // "" = none
  };

  const auto rule = [](int holes) { return Json::Object{{"pattern", "a/*"}, {"holes", holes}}; };
  const Json::Object silent{{"pattern", "b/*"}, {"error", "silent"}};
  const Json::Object hole{{"revision", "main"}, {"reason", "gone"}};
  const std::vector<Case> cases{
      {"nothing", {}, ""},
      {"a rule without holes", rule(0), ""},
      {"a rule with one", rule(1), "1 hole"},
      {"a rule with more", rule(12), "12 holes"},
      {"a repository", {{"holes", Json::Array{hole, hole}}}, "2 holes"},
      {"all rules", {{"rules", Json::Array{rule(2), rule(1)}}}, "3 holes"},
      {"one rule failed", {{"rules", Json::Array{silent, rule(0)}}}, "1 of 2 mirrors failed"},
      {"both", {{"rules", Json::Array{silent, rule(4)}}}, "1 of 2 mirrors failed, 4 holes"},
  };
  Working site;
  auto& jobs = site.hub.sample.store->jobs();
  for (const Case& c : cases) {
    CAPTURE(std::string(c.name));
    const storage::JobId id = jobs.enqueue("mirror", c.name, {});
    jobs.run_one(id, [&](const storage::Job&, storage::JobContext&) { return c.result; }, {});
    const std::string chip = std::string("warn\">") + c.shortfall + "<";
    const bool any = std::string_view(c.shortfall) != "";
    CHECK(shows(site.reader.get(place(id)), "state-done"));
    CHECK(shows(site.reader.get(place(id)), chip) == any);
    CHECK(shows(site.reader.get("/-/jobs?before=" + std::to_string(id + 1)), chip) == any);
    const Json answer = tests::json_of(site.reader.get("/-/api/v1/jobs/" + std::to_string(id)));
    const Json* const told = answer.find("shortfall");
    CHECK((told == nullptr ? "" : told->as_string()) == c.shortfall);
  }
}

TEST_CASE("web/jobs_page: the API lists by state and kind, a page at a time") {
  Working site;
  const auto ids = [&](const std::string& query) {
    std::string text;
    const Json answer = tests::json_of(site.reader.get("/-/api/v1/jobs" + query));
    for (const Json& job : answer.find("jobs")->as_array()) {
      text += std::to_string(job.find("id")->as_uint()) + " ";
    }
    const Json* const next = answer.find("next");
    return text + (next == nullptr ? "" : "then " + std::to_string(next->as_uint()));
  };
  CHECK(ids("") == "3 2 1 ");
  CHECK(ids("?kind=sync") == "3 2 ");
  CHECK(ids("?state=failed") == "2 ");
  CHECK(ids("?limit=2") == "3 2 then 2");
  CHECK(ids("?limit=2&before=2") == "1 ");
  CHECK(ids("?limit=1&kind=sync") == "3 then 3");
  CHECK(ids("?limit=1&kind=sync&before=3") == "2 ");
  CHECK(ids("?state=none").empty());
}

TEST_CASE("web/jobs_page: an administrator cancels and retries, nobody else") {
  Working site;
  CHECK_FALSE(shows(site.reader.get(place(site.queued)), "Cancel</button>"));
  CHECK(site.reader.send(place(site.queued) + "/cancel", {}).status == 403);
  CHECK(site.state(site.queued) == JobState::Queued);
  CHECK(shows(site.root.get(place(site.queued)), "Cancel</button>"));
  CHECK(site.root.post(place(site.queued) + "/cancel", {}).status == 403);
  const Response cancelled = site.root.send(place(site.queued) + "/cancel", {});
  CHECK(cancelled.status == 303);
  CHECK(cancelled.header("Location") == place(site.queued));
  CHECK(site.state(site.queued) == JobState::Cancelled);
  CHECK(shows(site.root.get(place(site.failed)), "Try again</button>"));
  CHECK(site.root.send(place(site.failed) + "/retry", {}).status == 303);
  CHECK(site.state(site.failed) == JobState::Queued);
  CHECK_FALSE(shows(site.root.get(place(site.done)), "class=\"actions\""));
}

TEST_CASE("web/jobs_page: a change that a job's state does not allow is refused in words") {
  struct Case {
    const char* name;
    storage::JobId Working::* job;
    const char* change;
    const char* button;
    const char* why;  // "": it is done
  };

  const Case cases[] = {
      {"a done job is past cancelling", &Working::done, "/cancel", "Cancel", "is done"},
      {"so is a failed one", &Working::failed, "/cancel", "Cancel", "is failed"},
      {"a queued one need not be tried again", &Working::queued, "/retry", "Try again",
       "is queued"},
      {"a queued one can be cancelled", &Working::queued, "/cancel", "Cancel", ""},
      {"a failed one can be tried again", &Working::failed, "/retry", "Try again", ""},
  };
  for (const Case& c : cases) {
    CAPTURE(std::string(c.name));
    const bool allowed = std::string_view(c.why).empty();
    for (const bool by_form : {true, false}) {
      CAPTURE(by_form);
      Working site;
      const storage::JobId id = site.*c.job;
      const JobState before = site.state(id);
      CHECK(shows(site.root.get(place(id)), std::string(c.button) + "</button>") == allowed);
      // As from a page that was shown before the job ended.
      const std::string target =
          (by_form ? place(id) : "/-/api/v1" + place(id).substr(2)) + c.change;
      const Response answer =
          by_form ? site.root.send(target, {})
                  : site.hub.ask({.method = "POST", .target = target, .trusted = true});
      CHECK(answer.status == (allowed ? (by_form ? 303 : 200) : 409));
      if (allowed) continue;
      CHECK(shows(answer, "job " + std::to_string(id) + " " + c.why));
      CHECK(answer.subject.starts_with("job " + std::to_string(id) + " "));
      CHECK(site.state(id) == before);
    }
  }
}

TEST_CASE("web/jobs_page: jobs are listed by state and kind, a page at a time") {
  Working site;
  const auto lists = [&](const std::string& query, storage::JobId id) {
    return shows(site.reader.get("/-/jobs" + query), "href=\"" + place(id) + "\"");
  };

  struct Case {
    const char* query;
    bool done, failed, queued;
  };

  for (const Case& c : {
           Case{"", true, true, true},
           Case{"?state=&kind=", true, true, true},
           Case{"?state=failed", false, true, false},
           Case{"?kind=sync", false, true, true},
           Case{"?kind=sync&state=queued", false, false, true},
           Case{"?kind=none", false, false, false},
           Case{"?state=none", false, false, false},
           Case{"?before=2", true, false, false},
           Case{"?before=x", true, true, true},
       }) {
    CAPTURE(std::string(c.query));
    CHECK(lists(c.query, site.done) == c.done);
    CHECK(lists(c.query, site.failed) == c.failed);
    CHECK(lists(c.query, site.queued) == c.queued);
  }
  CHECK(shows(site.reader.get("/-/jobs?kind=none"), "No such jobs"));
  CHECK(shows(site.reader.get("/-/jobs?kind=sync"), "<option selected>sync</option>"));
  CHECK_FALSE(shows(site.reader.get("/-/jobs"), "Older jobs"));
  for (std::size_t i = 0; i < kJobsPage; ++i) {
    site.hub.sample.store->jobs().enqueue("scan", "many" + std::to_string(i), {});
  }
  const std::string older = "/-/jobs?state=&amp;kind=scan&amp;before=4";
  CHECK(shows(site.reader.get("/-/jobs?kind=scan"), "href=\"" + older + "\""));
  CHECK(lists("?kind=scan&before=4", site.done));
}

}  // namespace holdfast::web
