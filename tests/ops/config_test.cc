#include "ops/config.h"

#include <filesystem>
#include <fstream>
#include <map>

#include <doctest/doctest.h>

#include "storage/base/error.h"

namespace holdfast::ops {
namespace {

namespace fs = std::filesystem;

// A folder of this test's own, removed at the end.
struct TemporaryFolder {
  TemporaryFolder() {
    std::string pattern = (fs::temp_directory_path() / "holdfast-config-XXXXXX").string();
    REQUIRE(mkdtemp(pattern.data()) != nullptr);
    path = pattern;
  }

  ~TemporaryFolder() { fs::remove_all(path); }

  fs::path write(const std::string& name, const std::string& text) const {
    fs::create_directories((path / name).parent_path());
    std::ofstream(path / name) << text;
    return path / name;
  }

  fs::path path;
};

Environment environment(std::map<std::string, std::string> values) {
  return [values = std::move(values)](const char* name) -> std::optional<std::string> {
    const auto found = values.find(name);
    if (found == values.end()) return std::nullopt;
    return found->second;
  };
}

}  // namespace

TEST_CASE("ops/config: who gets in reads back as it was meant, and prints as it reads") {
  const TemporaryFolder folder;
  CHECK_FALSE(Config{}.guards.anonymous_read.has_value());
  const Config config = read_config(folder.write("a.toml", R"(
[access]
anonymous_read = false
upstream_gates = true
trusted_proxies = ["10.0.0.0/8", "fd00::1"]
anonymous_limits = { api = 5, pages = 7 }
token_limits = { resolvers = 9 }
audit_log = "/var/log/audit.log"
audit = "reads"
)"));
  const auto again = read_config(folder.write("b.toml", to_text(config)));
  for (const web::GuardOptions& guards : {config.guards, again.guards}) {
    CHECK(guards.anonymous_read == false);
    CHECK(guards.upstream_gates == true);
    CHECK(guards.trusted_proxies == std::vector<std::string>{"10.0.0.0/8", "fd00::1"});
    CHECK(guards.limits.anonymous == web::Quota{5, 0, 7});
    CHECK(guards.limits.token == web::Quota{0, 9, 0});
    CHECK(guards.audit_log == "/var/log/audit.log");
    CHECK(guards.audit_level == web::AuditLevel::Reads);
  }
  const Config tls = read_config(folder.write(
      "t.toml",
      "[web]\ntls_certificate = \"a.pem\"\ntls_key = \"b.pem\"\ntls_client_ca = \"c.pem\"\n"));
  CHECK(read_config(folder.write("u.toml", to_text(tls))).tls.client_ca == "c.pem");
  for (const char* half :
       {"tls_certificate = \"a.pem\"", "tls_key = \"b.pem\"", "tls_client_ca = \"c.pem\""}) {
    CHECK_THROWS_AS(read_config(folder.write("v.toml", "[web]\n" + std::string(half) + "\n")),
                    Error);
  }
  for (const char* bad :
       {"audit = \"all\"", "trusted_proxies = [\"host\"]", "anonymous_read = 1",
        "anonymous_limits = { git = 1 }", "token_limits = { api = -1 }", "users = []"}) {
    CAPTURE(std::string(bad));
    try {
      read_config(folder.write("c.toml", "[access]\n" + std::string(bad) + "\n"));
      FAIL("expected an error");
    } catch (const Error& error) {
      CHECK(error.kind() == ErrorKind::Invalid);
      CHECK(std::string(error.what()).find("c.toml:2: access.") != std::string::npos);
    }
  }
}

TEST_CASE("ops/config: quotas and identity providers read back, and mistakes are named") {
  const TemporaryFolder folder;
  const Config config = read_config(folder.write("a.toml", R"(
[[access.quota]]
owner = "team-*"
bytes = "500GB"
[[access.quota]]
owner = "*"
bytes = 1000
repositories = 7
[[access.oidc]]
issuer = "https://id.example.org"
audience = "holdfast"
jwks_file = "/etc/keys.json"
user_prefix = "id-"
roles_claim = "groups"
[[access.oidc.role]]
value = "team"
right = "write"
repo = "team/*"
[[access.oidc]]
issuer = "https://ci.example.org"
audience = "hub"
jwks_url = "https://ci.example.org/keys"
user_claim = "name"
user_prefix = "ci-"
)"));
  for (const Config& read : {config, read_config(folder.write("b.toml", to_text(config)))}) {
    const auto& quotas = read.guards.quotas;
    const auto& oidc = read.guards.oidc;
    REQUIRE(quotas.size() == 2);
    CHECK(quotas[0].bytes == 500'000'000'000);
    CHECK_FALSE(quotas[0].repositories.has_value());
    CHECK(quotas[1].owner == "*");
    CHECK(quotas[1].repositories == 7);
    REQUIRE(oidc.size() == 2);
    CHECK(oidc[0].user_claim == "sub");
    CHECK(oidc[0].jwks_file == "/etc/keys.json");
    REQUIRE(oidc[0].roles.size() == 1);
    CHECK(oidc[0].roles[0].right == storage::Right::Write);
    CHECK(oidc[0].roles[0].repo == "team/*");
    CHECK(oidc[1].jwks_url == "https://ci.example.org/keys");
    CHECK(oidc[1].user_prefix == "ci-");
  }
  const std::string issuer = "[[access.oidc]]\nissuer = \"a\"\naudience = \"b\"\n";
  const std::string keys = "jwks_file = \"k\"\n";
  for (const std::string& bad :
       {std::string("[[access.quota]]\nowner = \"x\"\n"),
        std::string("[[access.quota]]\nbytes = 1\n"),
        std::string("[[access.quota]]\nowner = \"x\"\nfiles = 1\n"), issuer,
        issuer + keys + "jwks_url = \"https://x\"\n", issuer + "jwks_url = \"http://x/keys\"\n",
        std::string("[[access.oidc]]\nissuer = \"a\"\n") + keys,
        issuer + keys + "[[access.oidc.role]]\nvalue = \"t\"\n",
        issuer + keys + "roles_claim = \"r\"\n[[access.oidc.role]]\nright = \"none\"\n",
        issuer + keys + issuer + keys, issuer + keys + "algorithms = [\"none\"]\n"}) {
    CAPTURE(bad);
    CHECK_THROWS_AS(read_config(folder.write("c.toml", bad)), Error);
  }
}

TEST_CASE("ops/config: a full file reads back as it was meant") {
  const TemporaryFolder folder;
  const Config config = read_config(folder.write("a.toml", R"(
offline = true
[store]
path = "/srv/models"
scrub_rate = "5MB/s"
scrub_period = "7d"
[web]
listen = "127.0.0.1:9000"
external_url = "https://hub.example.org"
access_log = "/var/log/access.log"
threads = 3
xet = "always"
[[upstream]]
name = "hf"
endpoint = "https://huggingface.co"
token_file = "/etc/holdfast/hf.token"
redirect_hosts = ["hf.co"]
allow_private = ["10.0.0.0/8", "fd00::1"]
concurrency = 3
repositories = 2
bandwidth = "20MB/s"
bandwidth_windows = [{ from = "22:30", to = "06:00", limit = "0B/s" }]
[[upstream]]
name = "near"
endpoint = "http://127.0.0.1:8081"
[[mirror]]
repo = "Qwen/Qwen2.5-*"
upstream = ["near", "hf"]
revisions = ["main", "v1"]
include = ["*.safetensors"]
max_size = "1.5TB"
licenses = ["apache-2.0"]
every = "6h"
keep = 5
[[mirror]]
repo = "dataset/org/d"
upstream = "hf"
cards_only = true
)"));
  CHECK(config.offline);
  CHECK(config.data == "/srv/models");
  CHECK(config.scrub_bytes_per_second == 5'000'000);
  CHECK(config.scrub_period == std::chrono::hours(7 * 24));
  CHECK(config.listen == "127.0.0.1:9000");
  CHECK(config.external_url == "https://hub.example.org");
  CHECK(config.access_log == "/var/log/access.log");
  CHECK(config.threads == 3);
  CHECK(config.xet == web::XetMode::Always);
  REQUIRE(config.upstreams.size() == 2);
  const UpstreamSettings& hub = config.upstreams[0];
  CHECK(hub.redirect_hosts == std::vector<std::string>{"hf.co"});
  CHECK(hub.allow_private == std::vector<std::string>{"10.0.0.0/8", "fd00::1"});
  CHECK(hub.concurrency == 3);
  CHECK(hub.repositories == 2);
  CHECK(hub.bandwidth.bytes_per_second == 20'000'000);
  const mirror::BandwidthWindow night{.from = std::chrono::minutes(22 * 60 + 30),
                                      .to = std::chrono::hours(6)};
  CHECK(hub.bandwidth.windows == std::vector{night});
  const mirror::MirrorRule rule{.repo = "Qwen/Qwen2.5-*",
                                .upstreams = {"near", "hf"},
                                .revisions = {"main", "v1"},
                                .include = {"*.safetensors"},
                                .size_bytes_max = 1'500'000'000'000,
                                .licenses = {"apache-2.0"},
                                .every = std::chrono::hours(6),
                                .keep = 5};
  const mirror::MirrorRule cards{.repo = "dataset/org/d", .upstreams = {"hf"}, .cards_only = true};
  CHECK(config.mirrors == std::vector{rule, cards});
}

TEST_CASE("ops/config: what is printed reads back the same") {
  const TemporaryFolder folder;
  const Config config = read_config(folder.write("a.toml", R"(
[store]
path = "/srv/models"
[[upstream]]
name = "hf"
endpoint = "https://huggingface.co"
token_file = "/t"
allow_private = ["10.0.0.0/8"]
bandwidth = "1500kB/s"
bandwidth_windows = [{ from = "08:00", to = "18:05", limit = "3MiB/s" }]
[[mirror]]
repo = "a/b"
exclude = ["*.bin"]
upstream = "hf"
max_size = 12345
every = "90m"
keep = 2
licenses = ["mit"]
[[mirror]]
repo = "c/*"
cards_only = true
)"));
  const Config again = read_config(folder.write("b.toml", to_text(config)));
  CHECK(to_text(again) == to_text(config));
  CHECK(again.mirrors == config.mirrors);
  CHECK(again.scrub_bytes_per_second == config.scrub_bytes_per_second);
  CHECK(again.scrub_period == config.scrub_period);
  CHECK(again.upstreams[0].bandwidth == config.upstreams[0].bandwidth);
}

TEST_CASE("ops/config: a mistake is named with its file, line and key") {
  struct Case {
    const char* name;
    const char* text;
    const char* line;
    const char* expected;
  };

  const Case cases[] = {
      {"unknown key", "offline = true\nonline = 1\n", ":2:", "online: unknown key"},
      {"unknown nested key", "[web]\nlisten = \"a\"\nport = 1\n", ":3:", "web.port: unknown key"},
      {"wrong type", "[web]\nthreads = \"two\"\n", ":2:", "web.threads: expected an integer"},
      {"out of range", "[web]\nthreads = -1\n", ":2:", "-1 is outside"},
      {"not one of them", "[web]\nxet = \"on\"\n", ":2:", "expected \"off\", \"large\" or"},
      {"bad syntax", "offline = \n", ":1:", ""},
      {"not a table", "web = 3\n", ":1:", "web: expected a table"},
      {"wrong element", "[[mirror]]\nrepo = \"a/b\"\ninclude = [1]\n", ":3:", "expected a string"},
      {"no endpoint", "[[upstream]]\nname = \"x\"\n", "upstream 1", "endpoint"},
      {"pattern", "[[mirror]]\nrepo = \"Qwen*\"\n", ":2:", "owner/name"},
      {"no repo", "[[mirror]]\nkeep = 1\n", "mirror 1", "repo is missing"},
      {"unknown upstream", "[[mirror]]\nrepo = \"a/b\"\nupstream = \"x\"\n", "mirror 1",
       "\"x\" is not configured"},
      {"cards and globs", "[[mirror]]\nrepo = \"a/b\"\ncards_only = true\ninclude = [\"*\"]\n",
       "mirror 1", "cards_only"},
      {"size", "[[mirror]]\nrepo = \"a/b\"\nmax_size = \"20 parsecs\"\n", ":3:", "expected a size"},
      {"negative size", "[[mirror]]\nmax_size = -1\n", ":2:", "expected a size"},
      {"duration", "[[mirror]]\nevery = \"6\"\n", ":2:", "expected a time"},
      {"no duration", "[[mirror]]\nevery = \"0s\"\n", ":2:", "expected a time"},
      {"rate", "[[upstream]]\nbandwidth = \"20MB\"\n", ":2:", "bytes per second"},
      {"window",
       "[[upstream]]\nbandwidth_windows = [\n{ from = \"8\", to = \"9:00\", limit = \"1B/s\" }]\n",
       ":3:", "time of day"},
      {"range", "[[upstream]]\nallow_private = [\"10.0.0.1/8\"]\n", ":2:", "10.0.0.1/8"},
      {"concurrency", "[[upstream]]\nconcurrency = 0\n", ":2:", "none"},
      {"no repositories", "[[upstream]]\nrepositories = 0\n", ":2:", "none"},
      {"too much concurrency", "[[upstream]]\nconcurrency = 17\n", ":2:", "outside"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    const TemporaryFolder folder;
    const fs::path file = folder.write("h.toml", c.text);
    std::string message;
    try {
      read_config(file);
    } catch (const Error& error) {
      message = error.what();
    }
    CAPTURE(message);
    CHECK(message.find(file.string()) != std::string::npos);
    CHECK(message.find(c.line) != std::string::npos);
    CHECK(message.find(c.expected) != std::string::npos);
  }
}

TEST_CASE("ops/config: flags win over environment, environment over file, file over defaults") {
  const TemporaryFolder folder;
  const fs::path file = folder.write("h.toml", "[store]\npath = \"/from/file\"\n");
  const auto data = [](const ConfigFlags& flags, std::map<std::string, std::string> values) {
    return load_config(flags, environment(std::move(values))).data;
  };
  CHECK(data({.data = "/from/flag", .config = file}, {{"HOLDFAST_DATA", "/from/env"}}) ==
        "/from/flag");
  CHECK(data({.config = file}, {{"HOLDFAST_DATA", "/from/env"}}) == "/from/env");
  CHECK(data({.config = file}, {}) == "/from/file");
  CHECK(data({}, {{"HOLDFAST_CONFIG", file.string()}}) == "/from/file");
  CHECK(data({}, {{"XDG_DATA_HOME", "/x"}}) == "/x/holdfast");
  CHECK(data({}, {{"HOME", "/h"}}) == "/h/.local/share/holdfast");
}

TEST_CASE("ops/config: the data directory's own file is found") {
  const TemporaryFolder folder;
  folder.write("holdfast.toml", "offline = true\n");
  CHECK(load_config({.data = folder.path}, environment({})).offline);
}

TEST_CASE("ops/config: the upstream is the named one, the first, HF_ENDPOINT, the hub") {
  Config config;
  CHECK(choose_upstream(config, "", environment({})).endpoint == "https://huggingface.co");
  CHECK(choose_upstream(config, "", environment({{"HF_ENDPOINT", "http://o:1"}})).endpoint ==
        "http://o:1");
  config.upstreams = {{.name = "a", .endpoint = "http://a"}, {.name = "b", .endpoint = "http://b"}};
  CHECK(choose_upstream(config, "", environment({})).endpoint == "http://a");
  CHECK(choose_upstream(config, "b", environment({})).endpoint == "http://b");
  CHECK_THROWS_AS(choose_upstream(config, "c", environment({})), Error);
}

TEST_CASE("ops/config: HF_ENDPOINT that points at ourselves is no upstream") {
  Config config;
  config.listen = "127.0.0.1:8080";
  config.external_url = "https://hub.example.org";
  for (const char* endpoint : {"http://127.0.0.1:8080", "http://127.0.0.1:8080/",
                               "http://localhost:8080", "https://hub.example.org/"}) {
    CAPTURE(endpoint);
    CHECK(choose_upstream(config, "", environment({{"HF_ENDPOINT", endpoint}})).endpoint ==
          "https://huggingface.co");
  }
}

TEST_CASE("ops/config: a token is trimmed and must be a header value") {
  const TemporaryFolder folder;
  UpstreamSettings upstream{.token_file = folder.write("token", "hf_abc\n")};
  CHECK(read_token(upstream, environment({{"HF_TOKEN", "hf_other"}})) == "hf_abc");
  upstream.token_file = folder.write("bad", "hf_a\r\nX-Evil: 1\n");
  CHECK_THROWS_AS(read_token(upstream, environment({})), Error);
}

TEST_CASE("ops/config: HF_TOKEN goes to its own hub and to nobody else") {
  struct Case {
    const char* endpoint;
    const char* hf_endpoint;
    bool sent;
  };

  const Case cases[] = {
      {"https://huggingface.co", nullptr, true},
      {"https://huggingface.co/", nullptr, true},
      {"http://huggingface.co", nullptr, false},
      {"https://huggingface.co:8443", nullptr, false},
      {"http://127.0.0.1:18999", nullptr, false},
      {"https://hub.example.org/hf", "https://hub.example.org", true},
      {"https://other.example.org", "https://hub.example.org", false},
  };
  for (const Case& c : cases) {
    CAPTURE(c.endpoint);
    std::map<std::string, std::string> values = {{"HF_TOKEN", "hf_secret"}};
    if (c.hf_endpoint != nullptr) values.emplace("HF_ENDPOINT", c.hf_endpoint);
    const UpstreamSettings upstream{.endpoint = c.endpoint};
    CHECK(read_token(upstream, environment(values)) == (c.sent ? "hf_secret" : ""));
  }
}

TEST_CASE("ops/config: an address given by hand takes a configured upstream's settings") {
  Config config;
  config.upstreams = {{.name = "a", .endpoint = "http://a:1", .token_file = "/t"}};
  CHECK(upstream_at(config, "http://a:1/prefix").token_file == "/t");
  CHECK(upstream_at(config, "http://a:1/prefix").endpoint == "http://a:1/prefix");
  CHECK(upstream_at(config, "http://a:2").token_file.empty());
  CHECK_THROWS_AS(upstream_at(config, "http://user:secret@a:1"), Error);
}

}  // namespace holdfast::ops
