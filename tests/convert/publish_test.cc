// Conversion from a stored revision into a derived repository, and the facts of both.
#include "convert/publish.h"

#include <chrono>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include "convert/convert.h"
#include "convert/derived_card.h"
#include "convert/inspect.h"
#include "convert/model_card.h"
#include "convert/sample.h"
#include "convert/scan.h"
#include "storage/base/error.h"
#include "storage/base/file.h"
#include "storage/git/objects.h"
#include "tests/convert/fixtures.h"
#include "tests/convert/interrupter.h"
#include "tests/convert/stored_model.h"
#include "tests/convert/synthetic_model.h"

namespace holdfast::convert {
namespace {

namespace fs = std::filesystem;

const storage::RepoId kRepo{.owner = "example", .name = "tiny"};
const storage::RepoId kDerived{.owner = "example", .name = "tiny-GGUF"};

// A store that holds the sample as example/tiny.
class Stored {
 public:
  Stored() : store_(storage::Store::open({.directory = scratch_.path() / "data"})) {
    write_sample(scratch_.path() / "tiny");
    commit_ = publish_folder(scratch_.path() / "tiny");
  }

  storage::Store& store() { return *store_; }

  const GitOid& commit() const { return commit_; }

  Json run(ConvertRequest request) {
    test::Context context;
    request.source = "example/tiny";
    return convert(request, store_.get(), context);
  }

  GitOid publish_folder(const fs::path& folder) {
    return test::publish_folder(*store_, kRepo, folder);
  }

  std::vector<std::string> derived_paths() {
    std::vector<std::string> paths;
    const auto commit = store_->catalog().resolve(kDerived, "main");
    if (!commit) return paths;
    for (const auto& file : store_->catalog().files(kDerived, *commit, ""))
      paths.push_back(file.path);
    return paths;
  }

  const fs::path& path() const { return scratch_.path(); }

 private:
  test::Scratch scratch_;
  std::unique_ptr<storage::Store> store_;
  GitOid commit_;
};

// Other weights of the same shapes.
void edit_weights(const fs::path& folder) {
  const fs::path path = folder / "model.safetensors";
  std::string bytes = read_file(path);
  std::uint64_t header = 0;
  std::memcpy(&header, bytes.data(), sizeof(header));
  // The lowest bit of every bfloat16.
  for (std::size_t i = sizeof(header) + header; i < bytes.size(); i += 2) {
    bytes[i] = static_cast<char>(bytes[i] ^ 1);
  }
  test::write_text(path, bytes);
}

const std::string& commit_of(const Json& result) { return result.find("commit")->as_string(); }

TEST_CASE("convert/publish: a conversion becomes a file of the derived repository") {
  Stored stored;
  const Json result = stored.run({.types = {"Q8_0"}});
  CHECK(result.find("repo")->as_string() == "model/example/tiny-GGUF");
  CHECK(!result.find("already_current")->as_bool());
  CHECK(stored.derived_paths() == std::vector<std::string>{".gitattributes", "README.md",
                                                           "tiny.Q8_0.gguf",
                                                           "tiny.Q8_0.ledger.json"});
  const auto commit = parse_git_oid(commit_of(result));
  REQUIRE(commit);
  const auto file = stored.store().catalog().find_file(kDerived, *commit, "tiny.Q8_0.gguf");
  REQUIRE(file);
  CHECK(file->lfs);
  CHECK(to_hex(*file->object) == result.find("outputs")->as_array()[0].find("sha256")->as_string());
  const auto revision = stored.store().catalog().find_revision(kDerived, *commit);
  REQUIRE(revision);
  CHECK(revision->time == test::kCommitTime);
  CHECK(stored.store().catalog().find_git_object(*commit).has_value());
  CHECK(stored.store().catalog().find_repository(kDerived)->origin == "derived:example/tiny");
}

TEST_CASE("convert/publish: the published object is the file that --out writes") {
  Stored stored;
  const Json published = stored.run({.types = {"Q4_0"}, .plain = true});
  const fs::path out = stored.path() / "out.gguf";
  const Json written = stored.run({.types = {"Q4_0"}, .out = out.string(), .plain = true});
  const auto digest = [](const Json& result) {
    return result.find("outputs")->as_array()[0].find("sha256")->as_string();
  };
  CHECK(digest(published) == digest(written));
  CHECK(digest(written) == to_hex(sha256(as_bytes(read_file(out)))));
}

TEST_CASE("convert/publish: the same again changes nothing and says so") {
  Stored stored;
  const Json first = stored.run({.types = {"Q8_0"}});
  const Json again = stored.run({.types = {"q8_0"}});
  CHECK(again.find("already_current")->as_bool());
  CHECK(commit_of(again) == commit_of(first));
  CHECK(again.find("outputs")->as_array()[0].find("sha256")->as_string() ==
        first.find("outputs")->as_array()[0].find("sha256")->as_string());
  // Other keys are other bytes, so this is not the same.
  CHECK(commit_of(stored.run({.types = {"Q8_0"}, .plain = true})) != commit_of(first));
}

TEST_CASE("convert/publish: another type joins the files that are there") {
  Stored stored;
  stored.run({.types = {"Q8_0"}});
  const Json result = stored.run({.types = {"Q8_0", "F16"}});
  CHECK(stored.derived_paths() == std::vector<std::string>{".gitattributes", "README.md",
                                                           "tiny.F16.gguf", "tiny.F16.ledger.json",
                                                           "tiny.Q8_0.gguf",
                                                           "tiny.Q8_0.ledger.json"});
  CHECK(result.find("outputs")->as_array().size() == 2);
  // And the recipe of the first is still known.
  CHECK(stored.run({.types = {"Q8_0"}}).find("already_current")->as_bool());
}

TEST_CASE("convert/publish: files of an older source are not carried along") {
  Stored stored;
  stored.run({.types = {"Q8_0", "F16"}});
  const fs::path folder = stored.path() / "tiny";
  test::write_text(folder / "README.md", "Another\n");
  stored.publish_folder(folder);
  stored.run({.types = {"Q8_0"}});
  CHECK(stored.derived_paths() == std::vector<std::string>{".gitattributes", "README.md",
                                                           "tiny.Q8_0.gguf",
                                                           "tiny.Q8_0.ledger.json"});
}

TEST_CASE("convert/publish: another split takes the place of the files of its type") {
  Stored stored;
  stored.run({.types = {"Q8_0", "F16"}, .split = {.tensors_max = 11}});
  stored.run({.types = {"Q8_0"}});
  for (const std::string& path : stored.derived_paths()) {
    CAPTURE(path);
    CHECK(!path.starts_with("tiny.Q8_0-0"));
  }
  CHECK(stored.run({.types = {"F16"}, .split = {.tensors_max = 11}})
            .find("already_current")
            ->as_bool());
}

TEST_CASE("convert/publish: nobody ever sees a revision without its recipes") {
  Stored stored;
  const storage::Catalog& catalog = stored.store().catalog();
  std::optional<Json> seen;
  // Looks at the revision the moment that it appears.
  std::jthread observer([&](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      const auto commit = catalog.resolve(kDerived, "main");
      if (!commit) continue;
      seen = catalog.find_fact(kDerived, *commit, "recipe/tiny.Q8_0.gguf");
      return;
    }
  });
  const Json result = stored.run({.types = {"Q8_0"}});
  observer.join();
  REQUIRE(seen);
  CHECK(seen->find("type")->as_string() == "Q8_0");
  CHECK(seen->find("commit")->as_string() == to_hex(stored.commit()));
}

TEST_CASE("convert/publish: the commit follows from the content") {
  Stored a, b;
  CHECK(commit_of(a.run({.types = {"Q8_0", "F16"}})) ==
        commit_of(b.run({.types = {"Q8_0", "F16"}})));
}

TEST_CASE("convert/publish: what others publish meanwhile stays in the branch's past") {
  Stored stored;
  constexpr int kEach = 12;
  const auto publish_many = [&](const std::string& name) {
    for (int i = 0; i < kEach; ++i) {
      const std::string text = name + std::to_string(i);
      publish_derived(stored.store(), kDerived, {.repo = kRepo, .commit = stored.commit()},
                      {{.path = text + ".ledger.json",
                        .size_bytes = text.size(),
                        .object = stored.store().blobs().put(as_bytes(text)),
                        .lfs = false}});
    }
  };
  std::thread other([&] { publish_many("a"); });
  publish_many("b");
  other.join();
  const storage::Catalog& catalog = stored.store().catalog();
  std::size_t commits = 0;
  for (auto at = catalog.resolve(kDerived, "main"); at; ++commits) {
    const auto parents = storage::git::parse_commit(catalog.find_git_object(*at)->bytes).parents;
    at = parents.empty() ? std::nullopt : std::optional(parents.front());
  }
  CHECK(commits == 2 * kEach);
  // And each has what the others brought.
  CHECK(stored.derived_paths().size() == 2 * kEach + 2);
}

TEST_CASE("convert/publish: git is told of a ledger that it keeps as a pointer") {
  constexpr std::string_view kModels = "*.gguf filter=lfs diff=lfs merge=lfs -text\n";
  constexpr std::string_view kLedgers = "*.ledger.json filter=lfs diff=lfs merge=lfs -text\n";
  for (const bool large : {false, true}) {
    CAPTURE(large);
    Stored stored;
    const GitOid commit =
        publish_derived(stored.store(), kDerived, {.repo = kRepo, .commit = stored.commit()},
                        {{.path = "tiny.F16.ledger.json",
                          .size_bytes = 2,
                          .object = stored.store().blobs().put(as_bytes("{}")),
                          .lfs = large}});
    const auto file = stored.store().catalog().find_file(kDerived, commit, ".gitattributes");
    REQUIRE(file);
    CHECK(storage::read_object(stored.store().blobs(), *file->object, 1024) ==
          std::string(kModels) + (large ? std::string(kLedgers) : ""));
  }
}

TEST_CASE("convert/publish: what another revision has staged for the same file is not taken up") {
  Stored stored;
  const fs::path folder = stored.path() / "large";
  // Outputs that are staged in files, and so outlive a run that was stopped.
  const auto publish_large = [&](const char* card) {
    test::write_text(folder / "README.md", card);
    return stored.publish_folder(folder);
  };
  test::write_synthetic(folder, {});
  const GitOid first = publish_large("First\n");
  edit_weights(folder);
  const GitOid second = publish_large("Second\n");
  const auto stop = [&](const GitOid& commit, std::vector<std::string> types, std::uint64_t after) {
    test::Interrupter interrupter(after, test::Interrupter::Manner::Stop);
    CHECK_THROWS_AS(
        convert(
            {.source = "example/tiny@" + to_hex(commit), .types = std::move(types), .threads = 1},
            &stored.store(), interrupter),
        Error);
  };
  stop(first, {"Q8_0", "F16"}, 2);
  stop(second, {"F16"}, 6);
  const auto digest_of = [&](const ConvertRequest& request) {
    test::Context context;
    const Json result = convert(request, &stored.store(), context);
    return result.find("outputs")->as_array().back().find("sha256")->as_string();
  };
  ConvertRequest request{.source = "example/tiny@" + to_hex(first), .types = {"Q8_0", "F16"}};
  const std::string published = digest_of(request);
  request.out = (stored.path() / "out").string();
  CHECK(published == digest_of(request));
}

TEST_CASE("convert/publish: journals of conversions that were given up do not stay for ever") {
  Stored stored;
  stored.run({.types = {"Q8_0"}});
  const fs::path folder = stored.path() / "data" / "convert";
  const fs::path old = folder / "old.journal", young = folder / "young.journal";
  for (const fs::path& path : {old, young}) test::write_text(path, "x");
  fs::last_write_time(old, fs::file_time_type::clock::now() - std::chrono::hours(73));
  stored.run({.types = {"F16"}});
  CHECK(!fs::exists(old));
  CHECK(fs::exists(young));
}

TEST_CASE("convert/publish: a repository of another origin is left alone") {
  Stored stored;
  const std::string error = [&] {
    try {
      stored.run({.types = {"F16"}, .publish = "example/tiny"});
    } catch (const Error& found) {
      return std::string(found.what());
    }
    return std::string();
  }();
  CHECK(error.find("origin is \"local\"") != std::string::npos);
  CHECK(stored.store().catalog().resolve(kRepo, "main") == stored.commit());
}

TEST_CASE("convert/publish: the card names base model, relation, licence and files") {
  const std::string card = derived_card(
      {.source = "a/b", .commit = "c0ffee", .target = "a/b-GGUF", .models = {"b.Q4_0.gguf"}},
      "---\nlicense: mit\nlanguage: [en, no]\nbase_model: z/y\n---\n# B\n");
  const Json::Object front = parse_front_matter(card);
  CHECK(front.find("base_model")->as_string() == "a/b");
  CHECK(front.find("base_model_relation")->as_string() == "quantized");
  CHECK(front.find("license")->as_string() == "mit");
  CHECK(front.find("language")->as_array().at(1).as_string() == "no");
  CHECK(front.find("tags")->as_array().at(0).as_string() == "gguf");
  CHECK(card.find("b.Q4_0.gguf") != std::string::npos);
}

TEST_CASE("convert/scan: facts of the card and of each model file") {
  Stored stored;
  test::Context context;
  const Json result = scan_revision(kRepo, stored.commit(), stored.store(), context);
  CHECK(result.find("files")->as_uint() == 1);
  CHECK(result.find("broken")->as_uint() == 0);
  const auto card = stored.store().catalog().find_fact(kRepo, stored.commit(), "card");
  REQUIRE(card);
  CHECK(card->find("license")->as_string() == "apache-2.0");
  CHECK(card->find("pipeline_tag")->as_string() == "text-generation");
  CHECK(card->find("formats")->as_array().at(0).as_string() == "safetensors");
  CHECK(card->find_path({"parameters", "total"})->as_uint() ==
        card->find_path({"parameters", "by_dtype", "BF16"})->as_uint());
  const auto file =
      stored.store().catalog().find_fact(kRepo, stored.commit(), "file/model.safetensors");
  REQUIRE(file);
  CHECK(file->find("kind")->as_string() == "safetensors");
  CHECK(file->find("tensors")->as_uint() == 21);
  const Json::Array& row = file->find("tensor_table")->as_array().at(0).as_array();
  CHECK(row.at(0).as_string() == "lm_head.weight");
  CHECK(row.at(1).as_string() == "BF16");
}

TEST_CASE("convert/scan: a broken model file is a fact, not a failure") {
  Stored stored;
  const fs::path folder = stored.path() / "tiny";
  test::write_text(folder / "model.safetensors", "broken");
  const GitOid commit = stored.publish_folder(folder);
  test::Context context;
  const Json result = scan_revision(kRepo, commit, stored.store(), context);
  CHECK(result.find("broken")->as_uint() == 1);
  const auto file = stored.store().catalog().find_fact(kRepo, commit, "file/model.safetensors");
  REQUIRE(file);
  CHECK(file->find("error")->as_string().find("model.safetensors: truncated") == 0);
}

TEST_CASE("convert/inspect: a folder, a single file, and a scanned revision say the same") {
  Stored stored;
  const Json folder = inspect((stored.path() / "tiny").string());
  CHECK(folder.find_path({"config", "gguf_architecture"})->as_string() == "llama");
  CHECK(folder.find_path({"tokenizer", "model"})->as_string() == "gpt2");
  CHECK(folder.find_path({"tokenizer", "pre"})->as_string() == "llama-bpe");

  test::Context context;
  scan_revision(kRepo, stored.commit(), stored.store(), context);
  Json::Object facts;
  for (auto& [key, value] : stored.store().catalog().facts(kRepo, stored.commit(), "")) {
    facts.set(key, std::move(value));
  }
  const Json scanned = inspection_of_facts("example/tiny", facts);
  CHECK(*scanned.find("card") == *folder.find("card"));

  const Json file = inspect((stored.path() / "tiny/model.safetensors").string());
  CHECK(file.find("card") == nullptr);
  const std::string text = inspection_text(file.as_object());
  CHECK(text.find("model.norm.weight BF16 [64] 128") != std::string::npos);
}

}  // namespace
}  // namespace holdfast::convert
