// How long the hub's answers about many repositories take: a catalog of cards without weights, as
// upstream's would be, made here; repo info, tree, lists and searches of it asked of handle(). The
// peer of each is a promise: the milliseconds that 99 of 100 may take. JSON lines as ops/bench
// wants them.
//   catalog_bench [--repositories N] [--scratch DIR]
#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "storage/base/error.h"
#include "storage/git/objects.h"
#include "storage/store.h"
#include "tests/bench/bench.h"
#include "web/handler.h"
#include "web/internal/search_query.h"
#include "web/search_index.h"

namespace holdfast {
namespace {

namespace fs = std::filesystem;
using bench::seconds;
using storage::Publication;

constexpr std::size_t kGroup = 500;  // repositories published together
constexpr std::size_t kWords = 20'000;
constexpr std::size_t kCardWords = 80;
constexpr std::size_t kPageRows = 50;  // of the catalog's page
constexpr const char* kFamilies[] = {"llama", "qwen", "bert", "mistral", "gemma", "phi", "t5"};
constexpr const char* kTasks[] = {"text-generation", "fill-mask", "text-classification",
                                  "feature-extraction", "automatic-speech-recognition"};
constexpr const char* kLicenses[] = {"mit", "apache-2.0", "other", "llama3"};

constexpr bench::Report print("catalog");

// The commonest words are far commoner than the rest, as in any language.
std::string word(std::mt19937_64& random) {
  const double unit = std::uniform_real_distribution<double>(0, 1)(random);
  return fmt::format("w{:x}", static_cast<std::size_t>(std::pow(kWords, unit)));
}

storage::RepoId name_of(std::size_t i) {
  return {.kind = storage::RepoKind::Model,
          .owner = fmt::format("owner-{}", i * 7919 % 5003),
          .name = fmt::format("{}-{}b-instruct-{:07}", kFamilies[i % std::size(kFamilies)],
                              1 + i % 70, i)};
}

std::string card_of(std::size_t i) {
  std::mt19937_64 random(i);
  std::string card = fmt::format("---\nlicense: mit\n---\n# Model {}\n", i);
  for (std::size_t w = 0; w < kCardWords; ++w) card += word(random) + ' ';
  return card;
}

Publication publication(std::size_t i, const std::string& card, const Digest& object) {
  const char* task = kTasks[i % std::size(kTasks)];
  const char* license = kLicenses[i / 3 % std::size(kLicenses)];
  Publication made;
  made.repository = {.id = name_of(i),
                     .origin = "https://hub.example",
                     .default_branch = "main",
                     .created_at = Time(std::chrono::seconds(1'600'000'000 + i)),
                     .updated_at = Time(std::chrono::seconds(1'700'000'000 + i)),
                     .upstream_info = {{"downloads", i * 2'654'435'761 % 10'000'000},
                                       {"likes", i % 1000},
                                       {"tags", Json::Array{"region:us", "en"}}}};
  made.files = {{.path = "README.md",
                 .size_bytes = card.size(),
                 .blob = git_object_id("blob", as_bytes(card)),
                 .object = object}};
  const auto snapshot = storage::git::make_snapshot(made.files, {.message = "card"});
  for (const auto& [oid, git_object] : snapshot.objects)
    made.git_objects.emplace_back(
        oid, storage::GitObjectRecord{std::string(storage::git::to_text(git_object.type)),
                                      git_object.bytes});
  made.revision = {.commit = snapshot.commit,
                   .git_commit = snapshot.commit,
                   .tree = snapshot.tree,
                   .time = Time(std::chrono::seconds(1'650'000'000 + i * 31 % 50'000'000)),
                   .title = "card"};
  made.refs = {{"refs/heads/main", snapshot.commit}};
  made.facts = {{"card", Json(Json::Object{{"license", license},
                                           {"pipeline_tag", task},
                                           {"library_name", "transformers"},
                                           {"base_model", Json::Array{name_of(i / 50).full_name()}},
                                           {"parameters", Json::Object{{"total", i * 1000}}}})}};
  return made;
}

void fill(storage::Store& store, std::size_t repositories) {
  for (std::size_t at = 0; at < repositories; at += kGroup) {
    const std::size_t end = std::min(at + kGroup, repositories);
    std::vector<std::string> cards;
    for (std::size_t i = at; i < end; ++i) cards.push_back(card_of(i));
    std::vector<std::span<const std::byte>> bytes;
    for (const std::string& card : cards) bytes.push_back(as_bytes(card));
    const auto objects = store.blobs().put_all(bytes);
    std::vector<Publication> group;
    for (std::size_t i = at; i < end; ++i)
      group.push_back(publication(i, cards[i - at], objects[i - at]));
    store.catalog().publish_all(group);
  }
}

struct Question {
  const char* name;
  std::size_t asked;
  double promise_ms;
  std::function<std::string(std::mt19937_64&)> target;
};

void ask(const web::Services& services, std::size_t repositories, const Question& question) {
  std::mt19937_64 random(7);
  std::vector<double> took;
  for (std::size_t i = 0; i < question.asked; ++i) {
    const std::string target = question.target(random);
    web::Response response;
    took.push_back(1000 * seconds([&] { response = web::handle({.target = target}, services); }));
    if (response.status != 200) fail(ErrorKind::Invalid, target + ": not answered with 200");
  }
  std::ranges::sort(took);
  const double median = took[took.size() / 2];
  print(fmt::format("{} repositories: {}, median {:.2f} ms, p99", repositories, question.name,
                    median),
        took[took.size() * 99 / 100], question.promise_ms, "ms");
}

auto any_of(std::size_t repositories) {
  return [=](std::mt19937_64& random) {
    return name_of(std::uniform_int_distribution<std::size_t>(0, repositories - 1)(random));
  };
}

// What the catalog answers alone.
std::vector<Question> plain_questions(std::size_t repositories) {
  const auto any = any_of(repositories);
  return {
      {"repo info", 20'000, 5,
       [=](auto& random) { return "/api/models/" + any(random).full_name(); }},
      {"tree", 20'000, 5,
       [=](auto& random) { return "/api/models/" + any(random).full_name() + "/tree/main"; }},
      {"list by name", 1000, 50,
       [=](auto& random) { return "/api/models?limit=100&cursor=" + any(random).full_name(); }},
      {"list of an owner", 1000, 50,
       [=](auto& random) { return "/api/models?limit=100&author=" + any(random).owner; }},
  };
}

// What is asked of the index.
std::vector<Question> index_questions(std::size_t repositories) {
  const auto any = any_of(repositories);
  const auto list = [](const std::string& query) {
    return [query](std::mt19937_64&) { return "/api/models?limit=100&" + query; };
  };
  return {
      {"children", 1000, 50,
       [=](auto& random) {
         return "/api/models/" + any(random).full_name() + "?expand=childrenModelCount";
       }},
      {"search for a name", 500, 50,
       [=](auto& random) { return "/api/models?limit=100&search=" + any(random).name; }},
      {"search for a word of cards", 200, 250,
       [=](auto& random) { return "/api/models?limit=100&search=" + word(random); }},
      {"search for two words", 200, 250,
       [=](auto& random) {
         return "/api/models?limit=100&search=" + word(random) + "+" + word(random);
       }},
      {"search for part of many names", 20, 1000, list("search=llam")},
      {"a tag and a task, by downloads", 20, 1000,
       list("filter=license:mit&pipeline_tag=fill-mask&sort=downloads")},
      {"all, by downloads", 20, 1000, list("sort=downloads")},
      {"catalog page", 200, 20, [](auto&) { return std::string("/"); }},
      {"catalog page, from anywhere", 200, 20,
       [=](auto& random) {
         const std::size_t pages = repositories / kPageRows;
         return fmt::format("/?page={}",
                            std::uniform_int_distribution<std::size_t>(1, pages)(random));
       }},
      {"catalog page, the last counted of a task", 20, 1000,
       [](auto&) { return std::string("/?task=fill-mask&page=200"); }},
      {"catalog page, two words", 100, 1000,
       [](auto& random) { return "/?q=" + word(random) + "+" + word(random); }},
  };
}

std::uint64_t bytes_below(const fs::path& directory) {
  std::uint64_t bytes = 0;
  for (const auto& entry : fs::recursive_directory_iterator(directory))
    if (entry.is_regular_file()) bytes += entry.file_size();
  return bytes;
}

void bench_catalog(std::size_t repositories, const fs::path& directory) {
  const auto store = storage::Store::open({.directory = directory});
  const auto count = static_cast<double>(repositories);
  const double published = seconds([&] { fill(*store, repositories); });
  print(fmt::format("{} repositories: published", repositories), count / published, 5000,
        "repositories/s");
  web::SearchIndex index(*store);
  const web::Services services{.store = *store, .search = &index};
  for (const Question& question : plain_questions(repositories))
    ask(services, repositories, question);
  const double indexed = seconds([&] {
    index.start();
    if (!index.wait_until_whole()) fail(ErrorKind::Io, "the index was not made");
  });
  print(fmt::format("{} repositories: indexed", repositories), count / indexed, 2000,
        "repositories/s");
  print(fmt::format("{} repositories: index", repositories),
        static_cast<double>(bytes_below(directory / "search")) / count, 4000, "B/repository");
  for (const Question& question : index_questions(repositories))
    ask(services, repositories, question);
}

}  // namespace
}  // namespace holdfast

int main(int argc, char** argv) {
  using namespace holdfast;
  return bench::run(argc, argv, [](bench::Arguments& arguments) {
    const std::size_t repositories = arguments.number("--repositories", 100'000);
    const bench::Scratch scratch("catalog", arguments);
    arguments.finish();
    bench_catalog(repositories, scratch.path() / "data");
  });
}
