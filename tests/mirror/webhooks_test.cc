#include "mirror/webhooks.h"

#include <doctest/doctest.h>

#include "storage/base/error.h"
#include "tests/fakes/hub_imposter_http.h"
#include "tests/mirror/sync_fixture.h"

namespace holdfast::mirror {
namespace {

// A receiver that answers with the given statuses, one after the other, the last for ever.
class Receiver {
 public:
  struct Got {
    std::string target, event, signature, body;
  };

  explicit Receiver(std::vector<int> statuses) : statuses_(std::move(statuses)) {}

  std::string url() const {
    return "http://127.0.0.1:" + std::to_string(server_.port()) + "/hook?key=secret";
  }

  std::vector<Got> got() { return *got_.lock(); }

 private:
  void answer(const fakes::WireRequest& request, fakes::Wire& wire) {
    const auto header = [&](std::string_view name) {
      return std::string(request.headers.find(name).value_or(""));
    };
    std::size_t number = 0;
    {
      auto got = got_.lock();
      number = got->size();
      got->push_back({.target = request.target,
                      .event = header("x-holdfast-event"),
                      .signature = header("x-holdfast-signature"),
                      .body = request.body});
    }
    const int status = statuses_[std::min(number, statuses_.size() - 1)];
    const std::string location = status == 307 ? "Location: http://10.0.0.1/\r\n" : "";
    wire.send("HTTP/1.1 " + std::to_string(status) + " X\r\n" + location +
              "Content-Length: 0\r\n\r\n");
  }

  std::vector<int> statuses_;
  Sync<std::vector<Got>> got_{};
  fakes::WireServer server_{
      [this](const fakes::WireRequest& request, fakes::Wire& wire) { answer(request, wire); }};
};

const Event kEvent{.kind = EventKind::HoleOpened,
                   .repo = {.owner = "org", .name = "m"},
                   .details = {{"path", "a.bin"}, {"reason", "gated"}},
                   .time = *parse_time("2026-01-02T03:04:05.000Z")};

struct HookSite {
  explicit HookSite(std::vector<int> statuses) : receiver(std::move(statuses)) {
    hooks = {{.name = "alarm", .url = receiver.url(), .secret = "key", .events = {}}};
  }

  storage::Job deliver() {
    WebhookSink sink(fixture.store->jobs(), hooks, [](std::string_view) {});
    sink.emit(kEvent);
    const auto jobs = fixture.store->jobs().list(10);
    if (jobs.empty()) return {};
    DeliveryOptions options{
        .hooks = hooks, .offline = offline, .pauser = &fixture.pauser, .health = &health};
    fixture.store->jobs().run_one(jobs.front().id,
                                  [&](const storage::Job& job, storage::JobContext& context) {
                                    return deliver_webhook(job.parameters, options, context);
                                  },
                                  {});
    return *fixture.store->jobs().find(jobs.front().id);
  }

  SyncFixture fixture;
  Receiver receiver;
  std::vector<Webhook> hooks;
  bool offline = false;
  WebhookHealth health;
};

}  // namespace

// The example of RFC 4231, 4.3.
TEST_CASE("mirror/webhooks: the signature is HMAC-SHA256") {
  CHECK(webhook_signature("Jefe", "what do ya want for nothing?") ==
        "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

TEST_CASE("mirror/webhooks: an event arrives, signed, and says what happened") {
  HookSite site({200});
  CHECK(site.deliver().state == storage::JobState::Done);
  const auto got = site.receiver.got();
  REQUIRE(got.size() == 1);
  CHECK(got[0].target == "/hook?key=secret");
  CHECK(got[0].event == "hole-opened");
  CHECK(got[0].signature == webhook_signature("key", got[0].body));
  const Json body = parse_json(got[0].body, "body");
  CHECK(body.find("repo")->as_string() == "model/org/m");
  CHECK(body.find_path({"details", "path"})->as_string() == "a.bin");
  CHECK(body.find("id")->as_string().size() == 32);
}

TEST_CASE("mirror/webhooks: a delivery is tried again, and its log says so") {
  HookSite site({500, 503, 204});
  const storage::Job job = site.deliver();
  CHECK(job.state == storage::JobState::Done);
  CHECK(number_of(job.result, "attempts") == 3);
  CHECK(site.fixture.store->jobs().log_lines(job.id).size() == 3);
  CHECK(site.fixture.pauser.waited() == std::chrono::seconds(3));
}

TEST_CASE("mirror/webhooks: a hook that stays broken fails the job without naming its address") {
  HookSite site({500});
  const storage::Job job = site.deliver();
  CHECK(job.state == storage::JobState::Failed);
  CHECK(site.receiver.got().size() == 5);
  std::string said = job.error;
  for (const auto& line : site.fixture.store->jobs().log_lines(job.id)) said += line;
  CHECK(said.find("alarm") != std::string::npos);
  CHECK(said.find("hook?") == std::string::npos);
  CHECK(said.find("127.0.0.1") == std::string::npos);
}

TEST_CASE("mirror/webhooks: a dead hook is tried once for each event until one gets through") {
  HookSite site({500, 500, 500, 500, 500, 500, 200, 500, 200});
  CHECK(site.deliver().state == storage::JobState::Failed);
  CHECK(site.receiver.got().size() == 5);
  CHECK(site.deliver().state == storage::JobState::Failed);
  CHECK(site.receiver.got().size() == 6);
  CHECK(site.deliver().state == storage::JobState::Done);
  const storage::Job well = site.deliver();  // patient again
  CHECK(well.state == storage::JobState::Done);
  CHECK(number_of(well.result, "attempts") == 2);
}

TEST_CASE("mirror/webhooks: redirects lead nowhere else") {
  HookSite site({307});
  CHECK(site.deliver().error_kind == "denied");
  CHECK(site.receiver.got().size() == 1);
}

TEST_CASE("mirror/webhooks: only the kinds that a hook wants, and nothing offline") {
  HookSite site({200});
  site.hooks[0].events = {EventKind::SyncDone};
  CHECK(site.deliver().id == 0);
  site.hooks[0].events = {EventKind::SyncDone, EventKind::HoleOpened};
  site.offline = true;
  CHECK(site.deliver().error_kind == "denied");
  CHECK(site.receiver.got().empty());
}

}  // namespace holdfast::mirror
