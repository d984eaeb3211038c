// A catalog of cards from an upstream on this machine into a new store: repositories a second from
// the list to the write, and again when nothing changed. The peer asks for the same cards and keeps
// nothing: what the upstream gives, on plain sockets, by as many connections.
// usage: cards_bench [--cards N] [--scratch DIR]; one JSON object a line.
#include <algorithm>
#include <array>
#include <filesystem>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "convert/model_facts.h"
#include "mirror/mirror.h"
#include "storage/base/error.h"
#include "storage/base/file.h"
#include "tests/bench/bench.h"
#include "tests/fakes/hub_imposter_http.h"

namespace holdfast::mirror {
namespace {

using bench::seconds;

constexpr std::size_t kPage = 1000;
constexpr unsigned kConnections = 8;

constexpr bench::Report print("cards");

std::string card_of(std::size_t i) {
  return fmt::format("---\nlicense: mit\ntags: [chat]\n---\n# Model {}\n{:x<2000}\n", i, "");
}

std::string commit_of(std::size_t i) { return fmt::format("{:040x}", i + 1); }

std::string path_of(std::size_t i) {
  return fmt::format("/owner-{}/model-{:07}/resolve/{}/README.md", i % 500, i, commit_of(i));
}

std::string row_of(std::size_t i) {
  return fmt::format(
      R"({{"id":"owner-{}/model-{:07}","sha":"{}","lastModified":"2026-01-01T00:00:00.000Z",)"
      R"("gated":false,"author":"owner-{}","createdAt":"2025-01-01T00:00:00.000Z",)"
      R"("library_name":"transformers","pipeline_tag":"text-generation",)"
      R"("tags":["transformers","safetensors","license:mit","region:us"],)"
      R"("cardData":{{"license":"mit","tags":["chat"]}},)"
      R"("siblings":[{{"rfilename":".gitattributes"}},{{"rfilename":"README.md"}},)"
      R"({{"rfilename":"config.json"}},{{"rfilename":"model.safetensors"}}]}})",
      i % 500, i, commit_of(i), i % 500);
}

// Knows its repositories by their numbers.
class CardHub {
 public:
  explicit CardHub(std::size_t cards)
      : cards_(cards), server_([this](const fakes::WireRequest& request, fakes::Wire& wire) {
          wire.send(answer(request.target));
        }) {}

  std::uint16_t port() const noexcept { return server_.port(); }

 private:
  static std::string ok(const std::string& headers, const std::string& body) {
    return fmt::format("HTTP/1.1 200 OK\r\n{}Content-Length: {}\r\n\r\n{}", headers, body.size(),
                       body);
  }

  std::string answer(const std::string& target) const {
    if (target.starts_with("/api/models")) return list(target);
    const std::size_t i = std::stoull(target.substr(target.find("/model-") + 7, 7));
    const std::string card = card_of(i);
    return ok(fmt::format("ETag: \"{}\"\r\nX-Repo-Commit: {}\r\n",
                          to_hex(git_object_id("blob", as_bytes(card))), commit_of(i)),
              card);
  }

  std::string list(const std::string& target) const {
    constexpr std::string_view kCursor = "&cursor=";
    const std::size_t mark = target.find(kCursor);
    const std::size_t from =
        mark == std::string::npos ? 0 : std::stoull(target.substr(mark + kCursor.size()));
    const std::size_t end = std::min(from + kPage, cards_);
    std::string body = "[";
    for (std::size_t i = from; i < end; ++i) body += (i > from ? "," : "") + row_of(i);
    const std::string link = end < cards_ ? fmt::format("Link: <{}{}{}>; rel=\"next\"\r\n",
                                                        target.substr(0, mark), kCursor, end)
                                          : "";
    return ok(link, body + "]");
  }

  std::size_t cards_;
  fakes::WireServer server_;
};

// Asks for every so-manieth card, one after the other.
void ask_plainly(std::uint16_t port, std::size_t first, std::size_t cards) {
  const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    fail_errno("connect", "127.0.0.1", errno);
  }
  std::array<char, 16384> buffer{};
  for (std::size_t i = first; i < cards; i += kConnections) {
    const std::string request =
        fmt::format("GET {} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n\r\n", path_of(i), port);
    if (::send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL) < 0) return;
    const std::string card = card_of(i);
    std::string answer;
    while (!answer.ends_with(card)) {
      const ssize_t got = ::recv(fd.get(), buffer.data(), buffer.size(), 0);
      if (got <= 0) fail(ErrorKind::Unavailable, "the bench's own upstream went away");
      answer.append(buffer.data(), static_cast<std::size_t>(got));
    }
  }
}

class QuietContext final : public storage::JobContext {
 public:
  void report(const storage::Progress&) override {}

  void log(std::string_view line) override { fmt::print(stderr, "{}\n", line); }

  std::stop_token stop() const override { return {}; }
};

void bench_cards(const std::filesystem::path& directory, std::size_t cards) {
  const CardHub hub(cards);
  const double peer = seconds([&] {
    std::vector<std::jthread> threads;
    for (unsigned i = 0; i < kConnections; ++i) {
      threads.emplace_back([&, i] { ask_plainly(hub.port(), i, cards); });
    }
  });
  const auto store = storage::Store::open({.directory = directory});
  UpstreamConfig upstream{.name = "bench",
                          .endpoint = fmt::format("http://127.0.0.1:{}", hub.port())};
  upstream.tuning.workers = kConnections;
  const MirrorRule rule{.repo = "*/*", .cards_only = true};
  const MirrorRequest request{
      .rule = rule, .rules = {rule}, .upstreams = {upstream}, .card_facts = convert::facts_of_card};
  QuietContext context;
  const auto total = static_cast<double>(cards);
  for (const char* const name : {"mirrored", "looked at again"}) {
    Json::Object result;
    const double ours = seconds([&] { result = mirror_rule(request, {}, *store, context); });
    if (result.find("listed")->as_uint() != cards || result.find("holes")->as_uint() != 0) {
      fail(ErrorKind::Corrupt, to_text(Json(result)));
    }
    print(fmt::format("{} cards/{}", cards, name), total / ours, total / peer, "repositories/s");
  }
}

}  // namespace
}  // namespace holdfast::mirror

int main(int argc, char** argv) {
  using namespace holdfast;
  return bench::run(argc, argv, [](bench::Arguments& arguments) {
    const std::size_t cards = arguments.number("--cards", 20'000);
    const bench::Scratch scratch("cards", arguments);
    arguments.finish();
    mirror::bench_cards(scratch.path() / "data", cards);
  });
}
