#include "web/search_index.h"

#include <fstream>
#include <set>

#include <doctest/doctest.h>

#include "tests/web/guarded.h"

namespace holdfast::web {
namespace {

using tests::Asking;
using tests::body_of;
using tests::Guarded;
using tests::json_of;

std::string ids_of(const Response& response) {
  REQUIRE(response.status == 200);
  std::string all;
  const Json page = json_of(response);
  for (const Json& entry : page.as_array()) all += entry.find("id")->as_string() + " ";
  return all;
}

// A hub whose index follows it.
template <class Hub>
struct Indexed : Hub {
  SearchIndex index{*this->sample.store};

  Indexed() {
    this->services.search = &index;
    index.start();
  }

  std::string find(const std::string& query) const {
    return ids_of(this->get("/api/models?" + query));
  }
};

using Site = Indexed<Asking>;

std::filesystem::path index_directory(const Asking& hub) {
  return hub.sample.store->directory() / "search";
}

storage::RepoId id(std::string_view text) { return storage::parse_repo_id(text); }

// As a scan writes it.
Json card(Json::Object front_matter) {
  const Json* tags = front_matter.find("tags");
  return Json::Object{{"tags", tags == nullptr ? Json(Json::Array{}) : *tags},
                      {"front_matter", std::move(front_matter)}};
}

void add(Asking& hub, const std::string& name, const std::string& readme,
         Json::Object front_matter = {}) {
  tests::publish(*hub.sample.store, {.id = name,
                                     .files = {{"README.md", readme}},
                                     .facts = {{"card", card(std::move(front_matter))}}});
}

}  // namespace

TEST_CASE("web/search_index: words are found in names, tags and cards") {
  struct Case {
    const char* query;
    const char* ids;
  };

  constexpr Case kCases[] = {
      {"search=small", "org/tiny "},             // its card
      {"search=SMALL", "org/tiny "},             //
      {"search=smaller", ""},                    //
      {"search=models", "org/tiny "},            // "model" in the card
      {"search=amelCas", "Example/CamelCase "},  // part of a name
      {"search=ELCA", "Example/CamelCase "},
      {"search=g/t", "org/tiny "},
      {"search=g", "gpt2 org/tiny "},  // one letter, and two, at a name's end too
      {"search=y", "org/tiny "},
      {"search=t2", "gpt2 "},
      {"search=transformers", "org/tiny "},  // its library
      {"search=org+small", "org/tiny "},     // all words
      {"search=org&search=small", "org/tiny "},
      {"search=gpt2+small", ""},
      {"search=elCamel", ""},
      {"search=tinytiny", ""},
      {"search=%3Cscript%3E", "org/tiny "},  // as words: "script" stands in the card
      {"search=a+OR+b+NOT+(", ""},           // nothing is an operator
      {"filter=license:mit", "org/tiny "},
      {"license=mit", "org/tiny "},
      {"license=license:mit", "org/tiny "},
      {"language=en", "org/tiny "},
      {"library=transformers&pipeline_tag=text-generation", "org/tiny "},
      {"filter=gguf,tiny", "org/tiny "},
      {"filter=gguf,none", ""},
      {"base_model=org/base", "org/tiny "},
      {"apps=llama.cpp", "org/tiny "},
      {"inference=warm", ""},
      {"inference_provider=all", ""},
      {"author=org&sort=lastModified", "org/tiny "},
      {"author=or&sort=lastModified", ""},
      {"num_parameters=min:1M,max:2M", "org/tiny "},
      {"num_parameters=max:1M", ""},
  };
  const Site hub;
  for (const Case& c : kCases) {
    CAPTURE(std::string(c.query));
    CHECK(hub.find(c.query) == c.ids);
  }
  CHECK(hub.get("/api/models?apps=nonsense").status == 400);
  CHECK(ids_of(hub.get("/api/datasets?search=data")) == "org/data ");
  CHECK(ids_of(hub.get("/api/datasets?search=tiny")).empty());
}

TEST_CASE("web/search_index: a name that has all letters of a word apart does not have the word") {
  Site hub;
  add(hub, "lab/amber-expert", "");
  add(hub, "lab/my-bert", "");
  CHECK(hub.find("search=bert") == "lab/my-bert ");
  CHECK(hub.find("search=ert") == "lab/amber-expert lab/my-bert ");
}

TEST_CASE("web/search_index: what was published before a search is found by it") {
  Site hub;
  auto& catalog = hub.sample.store->catalog();
  CHECK(hub.find("search=walrus") == "");
  add(hub, "lab/first", "A walrus.");
  CHECK(hub.find("search=walrus") == "lab/first ");
  add(hub, "lab/second", "# Walruses\n");
  CHECK(hub.find("search=walrus") == "lab/first lab/second ");
  auto row = std::pair<std::string, Json>{"card", Json::Object{{"tags", Json::Array{"arctic"}}}};
  catalog.put_facts(id("lab/second"), *catalog.resolve(id("lab/second"), "main"), {&row, 1});
  CHECK(hub.find("filter=arctic") == "lab/second ");
  catalog.rename(id("lab/second"), id("lab/third"));
  CHECK(hub.find("search=walrus") == "lab/first lab/third ");
  catalog.remove(id("lab/first"), std::nullopt);
  CHECK(hub.find("search=walrus") == "lab/third ");
}

TEST_CASE("web/search_index: an index that is not as it should be is made anew") {
  Asking hub;
  {
    SearchIndex index(*hub.sample.store);
    hub.services.search = &index;
    index.start();
    CHECK(ids_of(hub.get("/api/models?search=small")) == "org/tiny ");
  }

  struct Case {
    const char* name;
    void (*spoil)(const std::filesystem::path&);
  };

  constexpr Case kCases[] = {
      {"as it was left", [](const std::filesystem::path&) {}},
      {"gone", [](const std::filesystem::path& path) { std::filesystem::remove_all(path); }},
      {"no index",
       [](const std::filesystem::path& path) {
         std::filesystem::remove_all(path);
         std::filesystem::create_directory(path);
         std::ofstream(path / "iamglass") << "nonsense";
       }},
      {"a file",
       [](const std::filesystem::path& path) {
         std::filesystem::remove_all(path);
         std::ofstream(path) << "nonsense";
       }},
      {"cut off",
       [](const std::filesystem::path& path) {
         std::filesystem::resize_file(path / "iamglass", 10);
       }},
  };
  int number = 0;
  for (const Case& c : kCases) {
    CAPTURE(std::string(c.name));
    c.spoil(index_directory(hub));
    const std::string name = "lab/n" + std::to_string(++number);
    add(hub, name, "Number" + std::to_string(number));
    SearchIndex index(*hub.sample.store);
    hub.services.search = &index;
    index.start();
    CHECK(ids_of(hub.get("/api/models?search=small")) == "org/tiny ");
    CHECK(ids_of(hub.get("/api/models?search=number" + std::to_string(number))) == name + " ");
  }
}

TEST_CASE("web/search_index: without an index lists look through the catalog") {
  Asking hub;
  SearchIndex never_started(*hub.sample.store);
  hub.services.search = &never_started;
  CHECK(ids_of(hub.get("/api/models?search=tin")) == "org/tiny ");
  CHECK(ids_of(hub.get("/api/models?search=transformers")) == "org/tiny ");
  CHECK(json_of(hub.get("/api/models/org/base?expand=childrenModelCount")).find("error") !=
        nullptr);
  CHECK(json_of(hub.get("/api/models/gpt2?expand=childrenModelCount")).find("childrenModelCount") ==
        nullptr);
}

TEST_CASE("web/search_index: what may not be seen is not found, not counted, and moves no cursor") {
  Indexed<Guarded> hub;
  hub.book().put_user({.name = "ann", .role = storage::Right::Read});
  hub.book().put_user({.name = "bob", .grants = {{.pattern = "gpt2"}, {.pattern = "lab/b"}}});
  const std::string ann = hub.token("a", "ann");
  const std::string bob = hub.token("b", "bob");
  for (const char* name : {"lab/a", "lab/b", "lab/c"})
    add(hub, name, "Walrus.", {{"base_model", "gpt2"}, {"tags", Json::Array{name}}});
  for (const char* hidden : {"lab/a", "lab/c"}) hub.set_private(hidden);
  const auto found = [&](const std::string& token, const std::string& target) {
    return ids_of(hub.get_as(token, target));
  };
  CHECK(found(ann, "/api/models?search=walrus") == "lab/a lab/b lab/c ");
  CHECK(found(bob, "/api/models?search=walrus") == "lab/b ");
  // Were hidden ones counted, there would be a second page.
  const Response one = hub.get_as(bob, "/api/models?search=walrus&limit=1");
  CHECK(ids_of(one) == "lab/b ");
  CHECK(one.header("Link").empty());
  const Response first = hub.get_as(ann, "/api/models?search=walrus&limit=2");
  CHECK(std::string(first.header("Link")).find("cursor=lab%2Fb>") != std::string::npos);
  const auto children = [&](const std::string& token) {
    const Json info = json_of(hub.get_as(token, "/api/models/gpt2?expand=childrenModelCount"));
    return info.find("childrenModelCount")->as_uint();
  };
  CHECK(children(ann) == 3);
  CHECK(children(bob) == 1);
  const auto page = [&](const std::string& token, const std::string& text) {
    return body_of(hub.get_as(token, "/?q=walrus")).find(text) != std::string::npos;
  };
  CHECK(page(ann, "3 repositories"));
  CHECK(page(bob, "1 repository"));
  CHECK_FALSE(page(bob, "lab/a"));
  const auto tags = [&](const std::string& token) {
    return body_of(hub.get_as(token, "/api/models-tags-by-type?type=other"));
  };
  CHECK(tags(ann).find("lab/a") != std::string::npos);
  CHECK(tags(bob).find("lab/a") == std::string::npos);
  CHECK(tags(bob).find("lab/b") != std::string::npos);
}

TEST_CASE("web/search_index: children are counted as their cards name their base") {
  Site hub;
  const auto children = [&] {
    return json_of(hub.get("/api/models/gpt2?expand=childrenModelCount"))
        .find("childrenModelCount")
        ->as_uint();
  };
  CHECK(children() == 0);
  add(hub, "lab/a", "", {{"base_model", "gpt2"}, {"base_model_relation", "finetune"}});
  add(hub, "lab/b", "", {{"base_model", Json::Array{"gpt2", "org/tiny"}}});
  CHECK(children() == 2);
  CHECK(hub.find("filter=base_model:finetune:gpt2") == "lab/a ");
  CHECK(json_of(hub.get("/api/datasets/org/data?expand=childrenModelCount"))
            .find("childrenModelCount") == nullptr);
}

TEST_CASE("web/search_index: tags by type are the same with and without an index") {
  Site hub;
  add(hub, "lab/a", "",
      {{"language", Json::Array{"de", "en"}}, {"datasets", Json::Array{"squad"}}});
  const std::string with = body_of(hub.get("/api/models-tags-by-type"));
  hub.services.search = nullptr;
  CHECK(body_of(hub.get("/api/models-tags-by-type")) == with);
  CHECK(with.find(R"({"id":"de","label":"de","type":"language"})") != std::string::npos);
  CHECK(with.find(R"({"id":"dataset:squad","label":"squad","type":"dataset"})") !=
        std::string::npos);
}

TEST_CASE("web/search_index: so many tags of each type as are asked for") {
  Site hub;
  add(hub, "lab/a", "",
      {{"language", Json::Array{"de", "en"}}, {"datasets", Json::Array{"x", "y"}}});
  const auto found = [&](std::size_t per_type) {
    const auto tags = hub.index.tags(storage::RepoKind::Model, per_type, {});
    REQUIRE(tags.has_value());
    std::string all;
    for (const auto& tag : *tags) all += tag.id + " ";
    return all;
  };
  CHECK(found(0) == "");
  CHECK(found(1) == "base_model:org/base dataset:x de gguf license:mit tiny text-generation ");
  CHECK(found(2) ==
        "base_model:org/base dataset:x dataset:y de en gguf safetensors license:mit tiny "
        "text-generation ");
}

TEST_CASE("web/search_index: the catalog's page puts the best first, names before cards") {
  Site hub;
  add(hub, "lab/zebra", "Nothing else.");
  add(hub, "lab/animals", "About the zebra, and about the zebra, and the zebra.");
  const std::string page = body_of(hub.get("/?q=zebra"));
  CHECK(page.find("2 repositories") != std::string::npos);
  const auto name = page.find(">zebra</span>");
  const auto card_only = page.find(">animals</span>");
  REQUIRE(name != std::string::npos);
  REQUIRE(card_only != std::string::npos);
  CHECK(name < card_only);
}

TEST_CASE("web/search_index: the list of everything is read from wherever a page begins") {
  Site hub;
  constexpr std::size_t kAdded = 120;
  for (std::size_t i = 0; i < kAdded; ++i) add(hub, "many/m" + std::to_string(i), "");
  const std::size_t all = hub.sample.store->catalog().list_repositories({.limit = 1000}).size() +
                          1;  // the sample's dataset
  // Whatever it begins with, each stands on one page.
  std::set<std::string> seen;
  for (std::size_t first = 0; first < all; first += 50) {
    const auto page = hub.index.newest(first, 50);
    REQUIRE(page);
    CHECK(page->total == all);
    CHECK(page->ids.size() == std::min<std::size_t>(50, all - first));
    for (const auto& repo : page->ids) seen.insert(storage::to_text(repo));
  }
  CHECK(seen.size() == all);
  CHECK(hub.index.newest(all, 50)->ids.empty());

  const std::string last = body_of(hub.get("/?page=3"));
  CHECK(last.find("Page 3 of 3") != std::string::npos);
  CHECK(last.find("href=\"/?page=2\"") != std::string::npos);
  CHECK(last.find("rel=\"next\"") == std::string::npos);
  CHECK(body_of(hub.get("/?page=2")).find("href=\"/?page=3\"") != std::string::npos);
  CHECK(body_of(hub.get("/?page=4")).find("The list ends before") != std::string::npos);
  CHECK(body_of(hub.get("/?page=99999999999999999999")).find("Page 1 of 3") != std::string::npos);

  hub.sample.store->catalog().remove(id("many/m7"), std::nullopt);
  CHECK(hub.index.newest(0, 1000)->total == all - 1);
  CHECK(body_of(hub.get("/?page=3")).find("many</span>") != std::string::npos);
}

TEST_CASE("web/search_index: a page of what was searched for begins behind those before it") {
  Site hub;
  for (int i = 0; i < 60; ++i) add(hub, "many/zebra-" + std::to_string(i), "");
  const auto rows = [&](const std::string& target) {
    const std::string page = body_of(hub.get(target));
    std::set<std::string> found;
    for (auto at = page.find("href=\"/many/"); at != std::string::npos;
         at = page.find("href=\"/many/", at + 1)) {
      found.insert(page.substr(at, page.find('>', at) - at));
    }
    return found;
  };
  for (const std::string filter : {"q=zebra", "author=many"}) {
    CAPTURE(filter);
    auto first = rows("/?" + filter);
    const auto second = rows("/?" + filter + "&page=2");
    CHECK(first.size() == 50);
    CHECK(second.size() == 10);
    first.insert(second.begin(), second.end());
    CHECK(first.size() == 60);
    CHECK(rows("/?" + filter + "&page=3").empty());
    CHECK(body_of(hub.get("/?page=2&" + filter)).find("Page 2 of 2") != std::string::npos);
  }
}

}  // namespace holdfast::web
