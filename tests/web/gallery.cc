#include "tests/web/gallery.h"

#include <array>
#include <utility>

#include "storage/base/error.h"
#include "tests/web/browsing.h"
#include "web/limits.h"
#include "web/search_index.h"

namespace holdfast::tests {
namespace {

using storage::Gate;
using storage::Job;
using storage::JobContext;
using storage::Right;

constexpr std::string_view kLongName =
    "model/an-organisation-of-many-words/a-model-whose-name-goes-on-and-on-70b-instruct-v0.1-GGUF";
constexpr std::string_view kWhy =
    "https://upstream.example.org/api/models/an-organisation-of-many-words/refs?include_prs=1: "
    "connection refused after 3 attempts; check that the address is right, that the proxy lets it "
    "through and that the host is up";

std::string long_card() {
  std::string wide = "| |", rule = "|---|", row = "| score of the benchmark |";
  for (int i = 0; i < 14; ++i) {
    wide += " column-" + std::to_string(i) + " |";
    rule += "---|";
    row += " 12345.678 |";
  }
  return "# A card\n\n" + wide + "\n" + rule + "\n" + row + "\n\n## Long things\n\n" +
         std::string(300, 'w') + "\n\n`" + std::string(200, 'c') + "`\n\n```\n" +
         std::string(250, '=') + "\n```\n\n> A quotation of " + std::string(150, 'q') +
         "\n\n1. one\n   - two\n     - three https://example.org/" + std::string(160, 'u') +
         "\n\n### Last\n\n![picture](chart.png)\n";
}

Json::Object gate_fields() {
  return {{"extra_gated_prompt", "Be kind.\n\nSay who you are, and what it is for."},
          {"extra_gated_fields",
           Json::Object{{"Company", "text"},
                        {"Country", "country"},
                        {"Born", "date_picker"},
                        {"I agree to all of the terms above, however long they are", "checkbox"},
                        {"Purpose", Json::Object{{"type", "select"},
                                                 {"options", Json::Array{"Research", "Else"}}}}}}};
}

Json::Object card_facts() {
  return {{"front_matter", Json::Object{{"license", "apache-2.0"},
                                        {"a-key-of-the-card-that-is-long", std::string(120, 'v')}}},
          {"license", "a-licence-with-a-name-of-its-own-1.0"},
          {"pipeline_tag", "automatic-speech-recognition"},
          {"library_name", "sentence-transformers"},
          {"base_model", Json::Array{"org/tiny", "elsewhere/" + std::string(80, 'b')}},
          {"parameters", Json::Object{{"total", 70'600'000'000},
                                      {"by_dtype", Json::Object{{"BF16", 60'600'000'000},
                                                                {"F8_E4M3", 10'000'000'000}}}}},
          {"formats", Json::Array{"safetensors", "gguf"}}};
}

void publish_more(storage::Store& store) {
  publish(store, {.id = std::string(kLongName),
                  .files = {{"README.md", long_card()},
                            {"config.json", R"({"one_line": ")" + std::string(4000, 'x') + "\"}\n"},
                            {std::string(90, 'n') + "-00001-of-00030.safetensors", "weights", true},
                            {"deep/er/and/deeper/" + std::string(70, 'd') + ".txt", "text\n"}},
                  .facts = {{"card", card_facts()}}});
  publish(store, {.id = "org/asks",
                  .files = {{"README.md", "# Asks\n"}},
                  .facts = {{"card", Json::Object{{"front_matter", gate_fields()}}}}});
}

Json::Object mirror(std::string_view repo, const Json& error, std::uint64_t holes, bool active) {
  return {{"repo", repo},
          {"holes", holes},
          {"error", error},
          {"failures", error == Json() ? 0 : 12},
          {"active", active},
          {"tried_at", "2026-01-02T10:11:12Z"},
          {"done_at", "2026-01-01T10:11:12Z"},
          {"next_at", "2026-01-02T16:11:12Z"}};
}

Json::Object mirrors() {
  return {{"mirrors",
           Json::Array{mirror("Qwen/Qwen2.5-*-Instruct", Json(), 0, true),
                       mirror("an-organisation-of-many-words/*", std::string(kWhy), 3, false),
                       mirror("dataset/org/data", Json(), 0, false)}}};
}

void run(storage::JobQueue& jobs, storage::JobId id, const storage::JobQueue::Body& body) {
  jobs.run_one(id, body, {});
}

class Gallery {
 public:
  Gallery() {
    auto& store = *hub_.sample.store;
    publish_more(store);
    hub_.services.mirrors = mirrors;
    hub_.services.search = &index_;
    index_.start();
    index_.wait_until_whole();
    hub_.set_gate("org/asks", Gate::Manual);
    hub_.book().put_user({.name = "ann"});
    hub_.book().put_user({.name = "olga", .role = Right::Admin});
    ann_.sign_in(hub_.token("laptop", "ann"));
    olga_.sign_in(hub_.token("workstation", "olga", Right::Admin));
  }

  std::vector<GalleryPage> take() && {
    repositories();
    access();
    jobs();
    add("mirrors", olga_, "/-/mirrors");
    add("error-404", olga_, "/org/none");
    add("error-403", ann_, "/-/access/model/org/tiny");
    add("error-401", stranger_, "/org/tiny");
    wrong_tokens();
    return std::move(pages_);
  }

 private:
  void add(const std::string& name, const web::Response& response) {
    pages_.push_back({.name = name, .status = response.status, .html = body_of(response)});
  }

  void add(const std::string& name, const Browser& browser, std::string_view target) {
    add(name, browser.get(target));
  }

  void repositories() {
    const std::string id(kLongName.substr(kLongName.find('/') + 1));
    add("catalog", olga_, "/");
    add("catalog-hit", olga_, "/?q=tiny&task=text-generation");
    add("catalog-no-hit", olga_, "/?q=" + std::string(120, 'z'));
    add("model", olga_, "/org/tiny");
    add("model-long", olga_, "/" + id);
    add("model-bare", olga_, "/gpt2");
    add("dataset", olga_, "/datasets/org/data");
    add("files", olga_, "/org/tiny/tree/main");
    add("files-long", olga_, "/" + id + "/tree/main");
    add("files-deep", olga_, "/" + id + "/tree/main/deep/er/and/deeper");
    add("file-text", olga_, "/" + id + "/blob/main/config.json");
    add("file-gguf", olga_, "/org/tiny/blob/main/tiny-Q4_0.gguf");
  }

  void access() {
    add("sign-in", stranger_, "/-/login");
    add("signed-in", ann_, "/-/login");
    add("gate-form", ann_, "/org/asks");
    ann_.send("/-/ask-access/model/org/asks", {{"Company", std::string(90, 'a')}, {"Why", "Fun"}});
    add("gate-pending", ann_, "/org/asks");
    add("gate-file", ann_, "/org/asks/blob/main/README.md");
    add("access-requests", olga_, "/-/access/model/org/asks");
    add("access-nobody", olga_, "/-/access/model/org/tiny");
    olga_.send("/-/access/model/org/asks", {{"who", "ann"}, {"standing", "rejected"}});
    add("gate-rejected", ann_, "/org/asks");
    add("tokens-own", ann_, "/-/tokens");
    add("token-made", olga_.send("/-/tokens", {{"name", std::string(90, 't')},
                                               {"scope", "write"},
                                               {"repos", "an-organisation-of-many-words/* lab/*"},
                                               {"expires_days", "30"}}));
    add("token-refused", olga_.send("/-/tokens", {{"name", "a b"}, {"scope", "read"}}));
  }

  void jobs() {
    auto& queue = hub_.sample.store->jobs();
    add("jobs-none", olga_, "/-/jobs");
    const auto enqueue = [&](std::string_view kind) {
      const std::string key = std::to_string(++jobs_);
      return queue.enqueue(kind, key, {{"repo", kLongName}});
    };
    const auto place = [](storage::JobId id) { return "/-/jobs/" + std::to_string(id); };
    const auto scan = enqueue("scan"), sync = enqueue("sync"), failed = enqueue("mirror");
    run(queue, scan, [](const Job&, JobContext& context) {
      context.log("looked at " + std::string(300, 'l'));
      context.log("12 tensors");
      return Json::Object{};
    });
    run(queue, sync, [](const Job&, JobContext&) {
      return Json::Object{{"rules", Json::Array{Json::Object{{"pattern", "a/*"}, {"holes", 3}},
                                                Json::Object{{"pattern", "b/*"},
                                                             {"error", "upstream is silent"}}}}};
    });
    run(queue, failed,
        [](const Job&, JobContext&) -> Json::Object { fail(ErrorKind::Unavailable, kWhy); });
    const auto waiting = enqueue("convert"), running = enqueue("convert");
    run(queue, running, [&](const Job&, JobContext& context) {
      context.report({.phase = "converting",
                      .done_bytes = 1'234'567'890,
                      .total_bytes = 9'876'543'210,
                      .note = "upstream asks to wait 12 s"});
      add("job-running", olga_, place(running));
      add("jobs", olga_, "/-/jobs");
      return Json::Object{};
    });
    add("jobs-none-such", olga_, "/-/jobs?state=failed&kind=scan");
    add("job-done", olga_, place(scan));
    add("job-holes", olga_, place(sync));
    add("job-failed", olga_, place(failed));
    add("job-queued", olga_, place(waiting));
  }

  // Somebody who tries one token after the other.
  void wrong_tokens() {
    Browser guesser(hub_);
    add("sign-in-refused", guesser.sign_in("hf_none"));
    for (std::size_t i = 0; i < web::kWrongTokensMax; ++i) {
      guesser.sign_in("hf_" + std::to_string(i));
    }
    add("error-429", guesser.sign_in("hf_last"));
  }

  Guarded hub_;
  web::SearchIndex index_{*hub_.sample.store};
  Browser ann_{hub_}, olga_{hub_}, stranger_{hub_};
  std::size_t jobs_ = 0;
  std::vector<GalleryPage> pages_;
};

GalleryPage empty_catalog() {
  const ScratchDirectory directory;
  const auto store = storage::Store::open({.directory = directory.path() / "data"});
  const web::Services services{.store = *store, .version = "test"};
  const web::Response response = web::handle({.method = "GET", .target = "/"}, services);
  return {.name = "catalog-empty", .status = response.status, .html = body_of(response)};
}

}  // namespace

std::vector<GalleryPage> make_gallery() {
  std::vector<GalleryPage> pages = Gallery().take();
  pages.push_back(empty_catalog());
  return pages;
}

}  // namespace holdfast::tests
