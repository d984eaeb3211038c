#include "convert/safetensors.h"

#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "storage/base/error.h"
#include "storage/base/file.h"
#include "tests/convert/fixtures.h"

namespace holdfast::convert {
namespace {

using test::Scratch;

std::vector<std::byte> zeros(std::size_t count) { return std::vector<std::byte>(count); }

// The error's text, or "" when there was none.
template <class Call>
std::string error_of(Call call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST_CASE("convert/safetensors: reads names, types, shapes and places") {
  const Scratch scratch;
  test::write_safetensors(
      scratch.path() / "model.safetensors",
      R"({"b":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},)"
      R"("a":{"dtype":"BF16","shape":[4],"data_offsets":[24,32]},"__metadata__":{"format":"pt"}})",
      zeros(32));
  const Checkpoint checkpoint = read_checkpoint(*open_directory(scratch.path().string()));
  REQUIRE(checkpoint.tensors.size() == 2);
  const SourceTensor& a = checkpoint.tensors[0];
  const SourceTensor& b = checkpoint.tensors[1];
  CHECK(a.name == "a");
  CHECK(a.dtype->name == "BF16");
  CHECK(a.size_bytes == 8);
  CHECK(a.offset == b.offset + 24);
  CHECK(b.shape == std::vector<std::uint64_t>{2, 3});
  CHECK(b.elements() == 6);
}

TEST_CASE("convert/safetensors: a broken header names file, tensor, field and value") {
  struct Case {
    const char* name;
    const char* json;
    std::size_t data_bytes;
    std::vector<std::string> said;
  };

  const std::vector<Case> cases = {
      {"no JSON", "{", 0, {"model.safetensors"}},
      {"not an object", "[]", 0, {"model.safetensors", "object"}},
      {"unknown type",
       R"({"t":{"dtype":"F31","shape":[1],"data_offsets":[0,4]}})",
       4,
       {"model.safetensors: t.dtype", "F31"}},
      {"type missing", R"({"t":{"shape":[1],"data_offsets":[0,4]}})", 4, {"t.dtype", "missing"}},
      {"offset past the end",
       R"({"t":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})",
       4,
       {"t.data_offsets", "[0, 8]", "4 data bytes"}},
      {"offsets reversed",
       R"({"t":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})",
       4,
       {"t.data_offsets", "[4, 0]"}},
      {"three offsets",
       R"({"t":{"dtype":"F32","shape":[1],"data_offsets":[0,4,4]}})",
       4,
       {"t.data_offsets", "found 3"}},
      {"shape and bytes disagree",
       R"({"t":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})",
       8,
       {"t.data_offsets", "F32 [3] needs 12"}},
      {"shape of 2^63",
       R"({"t":{"dtype":"F32","shape":[9223372036854775808],"data_offsets":[0,4]}})",
       4,
       {"t.shape", "9223372036854775808"}},
      {"shape whose product wraps",
       R"({"t":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}})",
       0,
       {"t.shape", "4294967296"}},
      {"negative dimension",
       R"({"t":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})",
       4,
       {"t.shape"}},
      {"fractional dimension",
       R"({"t":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}})",
       4,
       {"t.shape"}},
      {"nine dimensions",
       R"({"t":{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,4]}})",
       4,
       {"t.shape", "9 dimensions"}},
      {"overlap",
       R"({"t":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
       R"("u":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
       8,
       {"u.data_offsets", "starts at 4", "overlaps"}},
      {"gap",
       R"({"t":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
       8,
       {"t.data_offsets", "starts at 4", "gap"}},
      {"bytes left over",
       R"({"t":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
       8,
       {"byte 4 of 8"}},
      {"half a byte",
       R"({"t":{"dtype":"F4","shape":[3],"data_offsets":[0,2]}})",
       2,
       {"t.shape", "whole number of bytes"}},
      {"metadata that is no text", R"({"__metadata__":{"a":1}})", 0, {"__metadata__.a"}},
      {"nameless tensor",
       R"({"":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
       4,
       {"tensor name of 0 bytes"}},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    const Scratch scratch;
    test::write_safetensors(scratch.path() / "model.safetensors", c.json, zeros(c.data_bytes));
    const std::string error =
        error_of([&] { read_checkpoint(*open_directory(scratch.path().string())); });
    CAPTURE(error);
    REQUIRE(!error.empty());
    for (const std::string& part : c.said) CHECK(error.find(part) != std::string::npos);
  }
}

TEST_CASE("convert/safetensors: a truncated file is told from a broken one") {
  struct Case {
    const char* name;
    std::string bytes;
    const char* said;
  };

  const std::vector<Case> cases = {
      {"empty", "", "truncated: 0 bytes"},
      {"seven bytes", std::string(7, '\0'), "truncated: 7 bytes"},
      {"header past the end", std::string("\x40\0\0\0\0\0\0\0{}", 10), "64 passes the file's end"},
      {"absurd header", std::string(8, '\xFF'), "18446744073709551615 bytes, at most 100000000"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    const Scratch scratch;
    test::write_text(scratch.path() / "model.safetensors", c.bytes);
    const std::string error =
        error_of([&] { read_checkpoint(*open_directory(scratch.path().string())); });
    CAPTURE(error);
    CHECK(error.find("model.safetensors: ") == 0);
    CHECK(error.find(c.said) != std::string::npos);
  }
}

constexpr const char* kOneTensor = R"({"t":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})";

TEST_CASE("convert/safetensors: an index that lies is refused") {
  struct Case {
    const char* name;
    const char* index;
    const char* said;
  };

  const std::vector<Case> cases = {
      {"climbs out", R"({"weight_map":{"t":"../secret.safetensors"}})", "../secret.safetensors"},
      {"absolute", R"({"weight_map":{"t":"/etc/passwd"}})", "/etc/passwd"},
      {"sub-folder", R"({"weight_map":{"t":"a/b.safetensors"}})", "a/b.safetensors"},
      {"backslash", R"({"weight_map":{"t":"..\\b"}})", "without a path"},
      {"two dots", R"({"weight_map":{"t":".."}})", "without a path"},
      {"empty name", R"({"weight_map":{"t":""}})", "without a path"},
      {"missing shard", R"({"weight_map":{"t":"b.safetensors"}})", "\"b.safetensors\" is missing"},
      {"no map", R"({"metadata":{}})", "weight_map: missing"},
      {"empty map", R"({"weight_map":{}})", "weight_map: empty"},
      {"map of numbers", R"({"weight_map":{"t":3}})", "weight_map.t"},
      {"unlisted tensor", R"({"weight_map":{"u":"a.safetensors"}})", "t: not listed"},
      {"tensor that is not there", R"({"weight_map":{"t":"a.safetensors","u":"a.safetensors"}})",
       "weight_map.u"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    const Scratch scratch;
    test::write_safetensors(scratch.path() / "a.safetensors", kOneTensor, zeros(4));
    test::write_text(scratch.path() / "model.safetensors.index.json", c.index);
    const std::string error =
        error_of([&] { read_checkpoint(*open_directory(scratch.path().string())); });
    CAPTURE(error);
    CHECK(error.find(c.said) != std::string::npos);
  }
}

TEST_CASE("convert/safetensors: shards are read in name order, one tensor name in one file") {
  const Scratch scratch;
  const auto tensor = [](const std::string& name) {
    return R"({")" + name + R"(":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})";
  };
  test::write_safetensors(scratch.path() / "model-2.safetensors", tensor("a"), zeros(4));
  test::write_safetensors(scratch.path() / "model-1.safetensors", tensor("b"), zeros(4));
  const auto files = open_directory(scratch.path().string());
  const Checkpoint checkpoint = read_checkpoint(*files);
  CHECK(checkpoint.tensors[0].name == "b");
  CHECK(checkpoint.tensors[1].name == "a");

  test::write_safetensors(scratch.path() / "model-3.safetensors", tensor("a"), zeros(4));
  const std::string error =
      error_of([&] { read_checkpoint(*open_directory(scratch.path().string())); });
  CHECK(error.find("model-3.safetensors: a: already in \"model-2.safetensors\"") == 0);
}

TEST_CASE("convert/safetensors: __metadata__ names a second tensor of the same bytes") {
  const Scratch scratch;
  test::write_safetensors(scratch.path() / "model.safetensors",
                          R"({"t":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
                          R"("__metadata__":{"a":"t","format":"pt","t":"t"}})",
                          zeros(4));
  const Checkpoint checkpoint = read_checkpoint(*open_directory(scratch.path().string()));
  REQUIRE(checkpoint.tensors.size() == 2);
  CHECK(checkpoint.tensors[0].name == "a");
  CHECK(checkpoint.tensors[0].alias_of == "t");
  CHECK(checkpoint.tensors[0].offset == checkpoint.tensors[1].offset);
}

TEST_CASE("convert/safetensors: a folder without weights says what was looked for") {
  const Scratch scratch;
  const std::string error =
      error_of([&] { read_checkpoint(*open_directory(scratch.path().string())); });
  CHECK(error.find("no model*.safetensors") != std::string::npos);
}

}  // namespace
}  // namespace holdfast::convert
