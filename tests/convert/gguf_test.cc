#include <cstring>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "convert/gguf_reader.h"
#include "convert/gguf_writer.h"
#include "storage/base/digest.h"
#include "storage/base/error.h"
#include "tests/convert/memory_files.h"

namespace holdfast::convert {
namespace {

using test::MemoryFile;

Metadata every_type() {
  Metadata metadata;
  metadata.set("u8", std::uint8_t{1});
  metadata.set("i8", std::int8_t{-1});
  metadata.set("u16", std::uint16_t{2});
  metadata.set("i16", std::int16_t{-2});
  metadata.set("u32", std::uint32_t{3});
  metadata.set("i32", std::int32_t{-3});
  metadata.set("f32", 0.5F);
  metadata.set("bool", true);
  metadata.set("string", std::string("text"));
  metadata.set("u64", std::uint64_t{1} << 40);
  metadata.set("i64", -(std::int64_t{1} << 40));
  metadata.set("f64", 0.25);
  metadata.set("u8s", std::vector<std::uint8_t>{1, 2});
  metadata.set("i32s", std::vector<std::int32_t>{-1, 2});
  metadata.set("u32s", std::vector<std::uint32_t>{});
  metadata.set("f32s", std::vector<float>{1.5F});
  metadata.set("bools", std::vector<bool>{true, false, true});
  metadata.set("strings", std::vector<std::string>{"", "a"});
  metadata.set("u64s", std::vector<std::uint64_t>{7});
  metadata.set("f64s", std::vector<double>{7.5});
  return metadata;
}

std::vector<std::byte> file_of(const Metadata& metadata, const std::vector<GgufTensor>& tensors,
                               std::size_t data_bytes) {
  std::vector<std::byte> bytes = encode_gguf_header(metadata, tensors);
  bytes.resize(bytes.size() + data_bytes);
  return bytes;
}

const std::vector<GgufTensor> kTensors = {
    {.name = "a", .ne = {32, 2}, .type = 8, .offset = 0},  // Q8_0: 68 bytes
    {.name = "b", .ne = {3}, .type = 0, .offset = 96},
};

TEST_CASE("convert/gguf: what is written is read back") {
  const Metadata metadata = every_type();
  const GgufFile read = read_gguf(MemoryFile(as_text(file_of(metadata, kTensors, 128))), "x.gguf");
  CHECK(read.version == 3);
  CHECK(read.data_offset % 32 == 0);
  REQUIRE(read.metadata.entries().size() == metadata.entries().size());
  for (std::size_t i = 0; i < metadata.entries().size(); ++i) {
    CAPTURE(metadata.entries()[i].key);
    CHECK(read.metadata.entries()[i].key == metadata.entries()[i].key);
    CHECK(read.metadata.entries()[i].value == metadata.entries()[i].value);
  }
  REQUIRE(read.tensors.size() == 2);
  CHECK(read.tensors[0].ne == std::vector<std::uint64_t>{32, 2});
  CHECK(read.tensors[1].offset == 96);
  CHECK(tensor_bytes(read.tensors[0]) == 68);
}

std::string error_of(const std::vector<std::byte>& bytes) {
  try {
    read_gguf(MemoryFile(as_text(bytes)), "x.gguf");
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

std::vector<GgufTensor> changed(std::size_t index, void (*change)(GgufTensor&)) {
  std::vector<GgufTensor> tensors = kTensors;
  change(tensors[index]);
  return tensors;
}

Metadata alignment_of(MetadataValue value) {
  Metadata metadata;
  metadata.set("general.alignment", std::move(value));
  return metadata;
}

TEST_CASE("convert/gguf: a broken table names file, tensor and value") {
  struct Case {
    const char* name;
    std::vector<std::byte> bytes;
    const char* said;
  };

  const std::vector<Case> cases = {
      {"gap", file_of({}, changed(1, [](GgufTensor& t) { t.offset = 128; }), 256),
       "tensor \"b\": offset 128, expected 96"},
      {"overlap", file_of({}, changed(1, [](GgufTensor& t) { t.offset = 64; }), 256),
       "tensor \"b\": offset 64, expected 96"},
      {"same name", file_of({}, changed(1, [](GgufTensor& t) { t.name = std::string("a"); }), 256),
       "tensor \"a\": given twice"},
      {"unknown type", file_of({}, changed(0, [](GgufTensor& t) { t.type = 99; }), 256),
       "tensor \"a\": unknown type 99"},
      {"part of a block", file_of({}, changed(0, [](GgufTensor& t) { t.ne = {33, 2}; }), 256),
       "rows of 33 values"},
      {"2^63 elements",
       file_of({}, changed(1, [](GgufTensor& t) { t.ne = {1ULL << 32, 1ULL << 31}; }), 256),
       "tensor \"b\": more than 2^60 elements"},
      {"data cut off", file_of({}, kTensors, 100), "tensor \"b\": ends at byte"},
      {"alignment of 3", file_of(alignment_of(std::uint32_t{3}), {}, 0),
       "power of two as u32, found 3"},
      {"alignment of 0", file_of(alignment_of(std::uint32_t{0}), {}, 0), "found 0"},
      {"alignment as text", file_of(alignment_of(std::string("32")), {}, 0), "power of two as u32"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    const std::string error = error_of(c.bytes);
    CAPTURE(error);
    CHECK(error.starts_with("x.gguf: "));
    CHECK(error.find(c.said) != std::string::npos);
  }
}

TEST_CASE("convert/gguf: cut anywhere, a header is refused") {
  const std::vector<std::byte> whole = encode_gguf_header(every_type(), kTensors);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const std::string error = error_of({whole.begin(), whole.begin() + static_cast<long>(size)});
    CAPTURE(size);
    if (error.empty()) FAIL("accepted");
  }
}

TEST_CASE("convert/gguf: forged lengths cost nothing") {
  // Little-endian fields: magic, version, tensor count, key count, key length, key, type, …
  const auto header = [](std::uint64_t tensors, std::uint64_t keys, std::string_view rest) {
    std::vector<std::byte> bytes(24 + rest.size());
    const std::uint32_t version = 3;
    std::memcpy(bytes.data(), "GGUF", 4);
    std::memcpy(bytes.data() + 4, &version, 4);
    std::memcpy(bytes.data() + 8, &tensors, 8);
    std::memcpy(bytes.data() + 16, &keys, 8);
    std::memcpy(bytes.data() + 24, rest.data(), rest.size());
    return bytes;
  };
  constexpr std::uint64_t kHuge = ~0ULL;
  CHECK(error_of(header(kHuge, 0, "")).find("18446744073709551615 tensors") != std::string::npos);
  CHECK(error_of(header(0, kHuge, "")).find("keys") != std::string::npos);
  const std::string huge_key(8, '\xFF');
  CHECK(error_of(header(0, 1, huge_key)).find("at most 65535") != std::string::npos);
  // Key "k", array of u8 with 15 million elements in a file of a few bytes.
  const std::string array("\1\0\0\0\0\0\0\0k\x09\0\0\0\0\0\0\0\xC0\xE1\xE4\0\0\0\0\0", 25);
  CHECK(error_of(header(0, 1, array)).find("15000000 elements pass the file's end") !=
        std::string::npos);
  const std::string nested("\1\0\0\0\0\0\0\0k\x09\0\0\0\x09\0\0\0", 17);
  CHECK(error_of(header(0, 1, nested)).find("an array of arrays") != std::string::npos);
}

TEST_CASE("convert/gguf: other versions and byte orders are named") {
  std::vector<std::byte> bytes = encode_gguf_header({}, {});
  bytes[4] = std::byte{0};
  bytes[7] = std::byte{3};  // version 3, big-endian
  CHECK(error_of(bytes).find("version: expected 2 or 3, found 50331648") != std::string::npos);
  bytes[0] = std::byte{'g'};
  CHECK(error_of(bytes).find("magic") != std::string::npos);
}

TEST_CASE("convert/gguf: names that readers refuse are not written") {
  CHECK_THROWS_AS(encode_gguf_header({}, std::vector<GgufTensor>{{.name = std::string(64, 'x')}}),
                  Error);
  CHECK_THROWS_AS(encode_gguf_header({}, std::vector<GgufTensor>{{.name = ""}}), Error);
}

}  // namespace
}  // namespace holdfast::convert
