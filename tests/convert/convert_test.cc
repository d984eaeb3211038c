#include "convert/convert.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "convert/gguf_reader.h"
#include "convert/plan.h"
#include "convert/safetensors.h"
#include "convert/sample.h"
#include "storage/base/error.h"
#include "storage/base/file.h"
#include "tests/convert/fixtures.h"

namespace holdfast::convert {
namespace {

namespace fs = std::filesystem;
using test::Context;
using test::Scratch;

// The sample model under `name`, and what a conversion of it gives.
class Sample {
 public:
  Sample() { write_sample(model()); }

  fs::path model() const { return scratch_.path() / "Tiny-1B"; }

  fs::path out() const { return scratch_.path() / "out" / "model.gguf"; }

  ConvertRequest request(std::string type) const {
    return {.source = model().string(), .types = {std::move(type)}, .out = out().string()};
  }

  Json run(const ConvertRequest& request) const {
    Context context;
    return convert(request, nullptr, context);
  }

  // The error's text; "" when there was none.
  std::string error(const ConvertRequest& request) const {
    try {
      run(request);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }

  // What is in the folder of the output.
  std::vector<std::string> left_behind() const {
    std::vector<std::string> names;
    if (!fs::exists(out().parent_path())) return names;
    for (const auto& entry : fs::directory_iterator(out().parent_path())) {
      names.push_back(entry.path().filename().string());
    }
    return names;
  }

  const Scratch& scratch() const { return scratch_; }

 private:
  Scratch scratch_;
};

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  const std::size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

void edit(const fs::path& path, std::string_view from, std::string_view to) {
  test::write_text(path, replaced(read_file(path), from, to));
}

Json only_output(const Json& result) { return result.find("outputs")->as_array().at(0); }

TEST_CASE("convert/convert: the same bytes for any number of threads and any memory") {
  const Sample sample;
  for (const char* type : {"F32", "F16", "BF16", "Q8_0", "Q4_0"}) {
    CAPTURE(type);
    std::string first;
    for (const unsigned threads : {1U, 2U, 3U, 8U}) {
      ConvertRequest request = sample.request(type);
      request.threads = threads;
      request.memory_bytes = threads == 3 ? 1 : kMemoryDefault;
      request.force = true;
      sample.run(request);
      const std::string bytes = read_file(sample.out());
      if (first.empty()) first = bytes;
      CHECK(bytes == first);
    }
  }
}

TEST_CASE("convert/convert: a config that disagrees with the tensors is refused") {
  struct Row {
    const char *from, *to, *error;
  };

  constexpr Row kRows[] = {
      {"\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3",
       "config.json: num_hidden_layers: expected tensors of 3 blocks, found none of block 2"},
      {"\"hidden_size\": 64", "\"hidden_size\": 65",
       "config.json: hidden_size: expected 64, as in model.safetensors: model.embed_tokens.weight "
       "[538, 64], found 65"},
  };
  for (const Row& row : kRows) {
    CAPTURE(row.to);
    const Sample sample;
    edit(sample.model() / "config.json", row.from, row.to);
    CHECK(sample.error(sample.request("F16")) == row.error);
    CHECK(sample.left_behind().empty());
  }
}

TEST_CASE("convert/convert: reports type, path, size, digest and number of tensors") {
  const Sample sample;
  const Json output = only_output(sample.run(sample.request("q8_0")));
  const std::string bytes = read_file(sample.out());
  CHECK(output.find("type")->as_string() == "Q8_0");
  CHECK(output.find("path")->as_string() == sample.out().string());
  CHECK(output.find("size")->as_uint() == bytes.size());
  CHECK(output.find("sha256")->as_string() == to_hex(sha256(as_bytes(bytes))));
  CHECK(output.find("tensors")->as_uint() == 21);
}

TEST_CASE("convert/convert: several types from one read are the files of single runs") {
  const Sample sample;
  ConvertRequest request = sample.request("F16");
  request.types = {"F16", "q4_0", "Q8_0", "f16"};
  request.out = (sample.scratch().path() / "many").string();
  const Json result = sample.run(request);
  CHECK(result.find("outputs")->as_array().size() == 3);
  for (const char* type : {"F16", "Q4_0", "Q8_0"}) {
    CAPTURE(type);
    sample.run([&] {
      ConvertRequest single = sample.request(type);
      single.force = true;
      return single;
    }());
    const fs::path path = fs::path(request.out) / ("Tiny-1B." + std::string(type) + ".gguf");
    CHECK(read_file(path) == read_file(sample.out()));
  }
}

TEST_CASE("convert/convert: without --plain the keys say what the file was made from") {
  const Sample sample;
  const auto keys = [&](bool plain) {
    ConvertRequest request = sample.request("F16");
    request.plain = plain;
    request.force = true;
    sample.run(request);
    const auto files = open_directory(sample.out().parent_path().string());
    std::vector<std::string> names;
    const GgufFile gguf = read_gguf(*files->open("model.gguf"), "x");
    for (const auto& entry : gguf.metadata.entries()) {
      if (entry.key.starts_with("holdfast.")) names.push_back(entry.key);
    }
    return names;
  };
  CHECK(keys(true).empty());
  CHECK(keys(false) ==
        std::vector<std::string>{"holdfast.conversion.version", "holdfast.source.name"});
}

TEST_CASE("convert/convert: an existing file is replaced only by force") {
  const Sample sample;
  test::write_text(sample.out(), "mine");
  const std::string error = sample.error(sample.request("F16"));
  CHECK(error.find("exists already") != std::string::npos);
  CHECK(read_file(sample.out()) == "mine");
  ConvertRequest request = sample.request("F16");
  request.force = true;
  sample.run(request);
  CHECK(read_file(sample.out()).starts_with("GGUF"));
  CHECK(sample.left_behind() == std::vector<std::string>{"model.gguf"});
}

TEST_CASE(
    "convert/convert: an existing ledger is told before any work, and replaced only by force") {
  const Sample sample;
  const fs::path folder = sample.out().parent_path();
  fs::create_directories(folder);
  ConvertRequest request = sample.request("Q8_0");
  request.types.emplace_back("Q4_0");
  request.out = folder.string();
  request.ledger = true;
  // That of the last output: the first must not be there when it is found.
  const fs::path ledger = folder / "Tiny-1B.Q4_0.ledger.json";
  test::write_text(ledger, "mine");
  CHECK(sample.error(request) == ledger.string() + ": exists already (--force replaces it)");
  CHECK(sample.left_behind() == std::vector<std::string>{"Tiny-1B.Q4_0.ledger.json"});
  CHECK(read_file(ledger) == "mine");
  request.force = true;
  CHECK(sample.error(request).empty());
  CHECK(read_file(ledger) != "mine");
}

TEST_CASE("convert/convert: a dry run plans and writes nothing") {
  const Sample sample;
  ConvertRequest request = sample.request("Q4_0");
  request.dry_run = true;
  const Json output = only_output(sample.run(request));
  const std::string& plan = output.find("plan")->as_string();
  CHECK(plan.find("tensor blk.1.attn_q.weight Q4_0 [64, 64]") != std::string::npos);
  CHECK(!fs::exists(sample.out()));
}

TEST_CASE("convert/convert: bad input names file, field and value, and leaves nothing") {
  struct Case {
    const char* name;
    const char* file;
    const char* from;
    const char* to;
    std::vector<std::string> said;
  };

  const std::vector<Case> cases = {
      {"unknown class",
       "config.json",
       "LlamaForCausalLM",
       "LlamaForCausalLN",
       {"config.json", "architectures", "LlamaForCausalLN", "LlamaForCausalLM"}},
      {"no class", "config.json", "architectures", "architects", {"config.json: architectures"}},
      {"no layers", "config.json", "num_hidden_layers", "n", {"num_hidden_layers", "missing"}},
      {"layers as text",
       "config.json",
       "\"num_hidden_layers\": 2",
       "\"num_hidden_layers\": \"2\"",
       {"config.json", "num_hidden_layers", "string"}},
      {"layers beyond reason",
       "config.json",
       "\"num_hidden_layers\": 2",
       "\"num_hidden_layers\": 4000000000",
       {"num_hidden_layers", "4000000000"}},
      {"heads that do not divide",
       "config.json",
       "\"num_attention_heads\": 4",
       "\"num_attention_heads\": 5",
       {"model.safetensors", "q_proj.weight", "5 heads"}},
      {"no heads",
       "config.json",
       "\"num_attention_heads\": 4",
       "\"num_attention_heads\": 0",
       {"0 heads"}},
      {"fewer layers than tensors",
       "config.json",
       "\"num_hidden_layers\": 2",
       "\"num_hidden_layers\": 1",
       {"model.safetensors", "model.layers.1.", "the 1 blocks"}},
      {"broken JSON", "config.json", "{", "", {"config.json"}},
      {"a tensor of no rule",
       "model.safetensors",
       "model.norm.weight",
       "model.worm.weight",
       {"unknown to architecture llama", "model.worm.weight"}},
      {"unknown element type",
       "model.safetensors",
       "\"BF16\"",
       "\"BF61\"",
       {"model.safetensors", ".dtype", "BF61"}},
      {"integers", "model.safetensors", "\"BF16\"", "\"I16\" ", {".dtype", "I16"}},
      {"tokenizer cut off", "tokenizer.json", "\"model\":", "\"models\":", {"tokenizer.json"}},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    const Sample sample;
    edit(sample.model() / c.file, c.from, c.to);
    const std::string error = sample.error(sample.request("Q8_0"));
    CAPTURE(error);
    REQUIRE(!error.empty());
    for (const std::string& part : c.said) CHECK(error.find(part) != std::string::npos);
    CHECK(sample.left_behind().empty());
  }
}

TEST_CASE("convert/convert: a value that is no number stops the conversion and names its place") {
  const Sample sample;
  const fs::path path = sample.model() / "model.safetensors";
  std::string bytes = read_file(path);
  // The last element of the last tensor, model.norm.weight: a bfloat16 NaN.
  bytes[bytes.size() - 1] = '\x7F';
  bytes[bytes.size() - 2] = '\xC0';
  test::write_text(path, bytes);
  for (const char* type : {"F32", "F16", "Q4_0"}) {
    CAPTURE(type);
    const std::string error = sample.error(sample.request(type));
    CAPTURE(error);
    CHECK(error.find("model.safetensors: model.norm.weight: ") == 0);
    CHECK(error.find("nan") != std::string::npos);
    CHECK(error.find("element 63 of output_norm.weight") != std::string::npos);
    CHECK(sample.left_behind().empty());
  }
}

TEST_CASE("convert/convert: a bad request says which part") {
  const Sample sample;
  const auto with = [&](auto change) {
    ConvertRequest request = sample.request("F16");
    change(request);
    return sample.error(request);
  };
  CHECK(with([](auto& r) { r.types = {"F17"}; }).find("\"F17\" is unknown") != std::string::npos);
  CHECK(with([](auto& r) { r.types = {}; }).find("at least one type") != std::string::npos);
  CHECK(with([](auto& r) { r.source = "/no/such/folder"; }).find("/no/such/folder") == 0);
  CHECK(with([](auto& r) { r.source = "owner/name"; }).find("needs a store") != std::string::npos);
  CHECK(with([](auto& r) { r.out.clear(); }).find("take the folder in") != std::string::npos);
}

TEST_CASE("convert/convert: a split output tells in each file which it is") {
  const Sample sample;
  ConvertRequest request = sample.request("F16");
  request.split.tensors_max = 8;
  const Json result = sample.run(request);
  const Json::Array& outputs = result.find("outputs")->as_array();
  REQUIRE(outputs.size() == 3);
  CHECK(outputs[2].find("path")->as_string().ends_with("out/model-00003-of-00003.gguf"));
  const auto files = open_directory(sample.out().parent_path().string());
  std::size_t tensors = 0;
  for (std::uint16_t i = 0; i < 3; ++i) {
    const fs::path name = fs::path(outputs[i].find("path")->as_string()).filename();
    const GgufFile gguf = read_gguf(*files->open(name.string()), "x");
    CHECK(std::get<std::uint16_t>(*gguf.metadata.find("split.no")) == i);
    CHECK(std::get<std::uint16_t>(*gguf.metadata.find("split.count")) == 3);
    CHECK(std::get<std::int32_t>(*gguf.metadata.find("split.tensors.count")) == 21);
    CHECK((gguf.metadata.find("general.architecture") != nullptr) == (i == 0));
    tensors += gguf.tensors.size();
  }
  CHECK(tensors == 21);
}

TEST_CASE("convert/convert: the ledger accounts for every tensor") {
  const Sample sample;
  ConvertRequest request = sample.request("Q4_0");
  request.ledger = true;
  const Json output = only_output(sample.run(request));
  const fs::path path = sample.out().parent_path() / "model.ledger.json";
  const Json ledger = parse_json(read_file(path), "ledger");
  CHECK(ledger.find("type")->as_string() == "Q4_0");
  CHECK(ledger.find("files")->as_array()[0].find("sha256")->as_string() ==
        output.find("sha256")->as_string());
  const std::string bytes = read_file(sample.out());
  const std::string source = read_file(sample.model() / "model.safetensors");
  const Checkpoint checkpoint = read_checkpoint(*open_directory(sample.model().string()));
  CHECK(ledger.find("tensors")->as_array().size() == 21);
  for (const Json& row : ledger.find("tensors")->as_array()) {
    CAPTURE(row.find("name")->as_string());
    const std::string_view tensor =
        std::string_view(bytes).substr(row.find("offset")->as_uint(), row.find("size")->as_uint());
    CHECK(row.find("sha256")->as_string() == to_hex(sha256(as_bytes(tensor))));
    const bool exact = row.find("type")->as_string() == "F32";
    CHECK((row.find("rmse")->as_double() == 0) == exact);
    CHECK(row.find("cosine")->as_double() > 0.99);
    REQUIRE(row.find("from")->as_array().size() == 1);
    const Json& from = row.find("from")->as_array()[0];
    const auto origin =
        std::ranges::find(checkpoint.tensors, from.find("name")->as_string(), &SourceTensor::name);
    REQUIRE(origin != checkpoint.tensors.end());
    CHECK(from.find("sha256")->as_string() ==
          to_hex(sha256(as_bytes(source).subspan(origin->offset, origin->size_bytes))));
  }
}

TEST_CASE("convert/convert: a ready GGUF quantizes to the bytes that its checkpoint does") {
  const Sample sample;
  const fs::path own = sample.scratch().path() / "own.gguf";
  ConvertRequest request{
      .source = sample.model().string(), .types = {"BF16"}, .out = own.string(), .plain = true};
  sample.run(request);
  request.split.tensors_max = 5;
  request.out = (sample.scratch().path() / "split.gguf").string();
  sample.run(request);
  ConvertRequest direct = sample.request("Q4_0");
  direct.plain = true;
  sample.run(direct);
  for (const char* source : {"own.gguf", "split-00001-of-00005.gguf"}) {
    CAPTURE(source);
    ConvertRequest again{.source = (sample.scratch().path() / source).string(),
                         .types = {"Q4_0"},
                         .out = (sample.scratch().path() / "again.gguf").string(),
                         .plain = true,
                         .force = true};
    sample.run(again);
    CHECK(read_file(again.out) == read_file(sample.out()));
  }
}

TEST_CASE("convert/convert: what is quantized already is quantized again only when asked") {
  const Sample sample;
  sample.run(sample.request("Q4_0"));
  const fs::path out = sample.scratch().path() / "again.gguf";
  ConvertRequest request{.source = sample.out().string(), .types = {"Q8_0"}, .out = out.string()};
  const std::string error = sample.error(request);
  CHECK(error.find("token_embd.weight: is Q4_0 already") != std::string::npos);
  CHECK(!fs::exists(out));
  request.allow_requantize = true;
  Context context;
  convert(request, nullptr, context);
  CHECK(context.lines().at(0).find("loses more") != std::string::npos);
  CHECK(read_file(out).starts_with("GGUF"));
  // The same type is a copy, for which nothing has to be allowed.
  ConvertRequest copy{.source = sample.out().string(),
                      .types = {"Q4_0"},
                      .out = (sample.scratch().path() / "copy.gguf").string()};
  sample.run(copy);
}

TEST_CASE("convert/convert: parameters of a job and back") {
  const Json::Object parameters{{"source", "a/b"}, {"to", "Q4_0,F16"},    {"plain", true},
                                {"threads", 3},    {"memory", 64U << 20}, {"model_name", "N"}};
  const ConvertRequest request = parse_request(parameters);
  CHECK(request.types == std::vector<std::string>{"Q4_0", "F16"});
  CHECK(to_parameters(parse_request(to_parameters(request))) == to_parameters(request));
  CHECK_THROWS_WITH_AS(parse_request({{"to", "F16"}}), "convert: source: missing", Error);
  CHECK_THROWS_WITH_AS(parse_request({{"source", "a/b"}, {"threads", 2000}}),
                       "convert: threads: expected 0 to 1024, found 2000", Error);
}

TEST_CASE("convert/convert: what counts as a path") {
  for (const char* path : {"/a", "./a", "../a", ".", "m.gguf", "a/m.safetensors", "x.bin"}) {
    CHECK_MESSAGE(is_path(path), path);
  }
  for (const char* name : {"owner/name", "name", "owner/name@main", "a.b/c"}) {
    CHECK_MESSAGE(!is_path(name), name);
  }
}

}  // namespace
}  // namespace holdfast::convert
