#include "ops/job_verb.h"

#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include <doctest/doctest.h>

#include "storage/base/error.h"
#include "tests/storage/error_kind.h"

namespace holdfast::ops {
namespace {

// A server whose job ends while the verb asks to cancel it.
class EndingServer final : public ApiClient {
 public:
  EndingServer(ErrorKind refusal, std::string_view state) : refusal_(refusal), state_(state) {}

  Json call(std::string_view method, const std::string& target, const Json&) override {
    if (target.ends_with("/cancel")) fail(refusal_, "job 7 is " + state_);
    if (method == "POST") return Json::Object{{"id", 7}};
    return Json::Object{{"state", state_},
                        {"result", Json::Object{{"files", 3}}},
                        {"error", "upstream: silent"},
                        {"error_kind", "unavailable"}};
  }

  void finish() override {}

 private:
  ErrorKind refusal_;
  std::string state_;
};

}  // namespace

TEST_CASE("ops/job_verb: a job that ends before it can be cancelled tells how it ended") {
  struct Case {
    const char* name;
    ErrorKind refusal;
    const char* state;
    std::optional<ErrorKind> error;  // nothing: its result
  };

  const Case cases[] = {
      {"done", ErrorKind::Conflict, "done", std::nullopt},
      {"failed", ErrorKind::Conflict, "failed", ErrorKind::Unavailable},
      {"cancelled by somebody else", ErrorKind::Conflict, "cancelled", ErrorKind::Cancelled},
      {"not allowed to cancel it", ErrorKind::Denied, "done", ErrorKind::Denied},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    EndingServer server(c.refusal, c.state);
    Output output(true);
    std::stop_source stop;
    stop.request_stop();
    Json::Object result;
    const auto run = [&] {
      result =
          run_job(server, {.kind = "sync", .key = "k", .parameters = {}}, output, stop.get_token());
    };
    if (c.error) {
      CHECK(tests::kind_of(run) == *c.error);
    } else {
      run();
      CHECK(result == Json::Object{{"files", 3}});
    }
  }
}

}  // namespace holdfast::ops
