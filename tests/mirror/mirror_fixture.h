// What the tests of mirroring by rule share: an organisation upstream, a store, and what happened.
#pragma once

#include <string>
#include <vector>

#include "mirror/mirror.h"
#include "tests/mirror/sync_fixture.h"

namespace holdfast::mirror {

class RecordingSink final : public EventSink {
 public:
  void emit(const Event& event) noexcept override {
    events_.lock()->push_back(std::string(to_text(event.kind)) + " " + to_text(event.repo) + " " +
                              to_text(Json(event.details)));
  }

  // Those that came since the last call, of one kind or of all.
  std::vector<std::string> take(std::string_view kind = "") {
    std::vector<std::string> out;
    auto events = events_.lock();
    for (std::string& line : *events) {
      if (line.starts_with(std::string(kind))) out.push_back(std::move(line));
    }
    events->clear();
    return out;
  }

 private:
  Sync<std::vector<std::string>> events_;
};

struct MirrorFixture {
  explicit MirrorFixture(fakes::ImposterOptions options = {}) : hub(std::move(options)) {
    store = storage::Store::open({.directory = temp.path() / "store"});
  }

  GitOid add(const std::string& repo, const std::string& word,
             const std::string& ref = "refs/heads/main") {
    return hub.add_revision(repo, files_of(word), ref);
  }

  static std::vector<fakes::ImposterFile> files_of(const std::string& word) {
    return {{.path = "README.md", .content = fakes::content_of("# " + word + "\n")},
            {.path = "config.json", .content = fakes::content_of(R"({"word":")" + word + R"("})")},
            {.path = "model.safetensors",
             .content = fakes::content_of(word + noise(20'000, 1)),
             .lfs = true}};
  }

  UpstreamConfig upstream(const fakes::HubImposter& from, const std::string& name = "hub") {
    UpstreamConfig out{.name = name, .endpoint = from.endpoint()};
    out.tuning.pauser = &pauser;
    out.tuning.stall_window = Milliseconds(1'000);
    return out;
  }

  MirrorRequest request(const MirrorRule& rule) {
    return {.rule = rule, .rules = {rule}, .upstreams = {upstream(hub)}, .events = &events};
  }

  Json::Object run(const MirrorRule& rule, std::optional<Time> since = {}) {
    return run(request(rule), since);
  }

  Json::Object run(const MirrorRequest& what, std::optional<Time> since = {}) {
    return mirror_rule(what, since, *store, context);
  }

  std::optional<GitOid> resolve(const std::string& name, const std::string& revision = "main") {
    return store->catalog().resolve(storage::parse_repo_id(name), revision);
  }

  TempDir temp;
  fakes::HubImposter hub;
  std::unique_ptr<storage::Store> store;
  FakePauser pauser;
  FakeContext context;
  RecordingSink events;
};

}  // namespace holdfast::mirror
