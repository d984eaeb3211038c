#include "convert/imatrix.h"

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "convert/gguf_writer.h"
#include "storage/base/error.h"
#include "tests/convert/memory_files.h"

namespace holdfast::convert {
namespace {

// The older form, number by number.
class Legacy {
 public:
  Legacy& number(std::int32_t value) { return raw(&value, sizeof(value)); }

  Legacy& text(std::string_view text) {
    number(static_cast<std::int32_t>(text.size()));
    return raw(text.data(), text.size());
  }

  Legacy& values(const std::vector<float>& values) {
    number(static_cast<std::int32_t>(values.size()));
    return raw(values.data(), values.size() * sizeof(float));
  }

  const std::string& bytes() const { return bytes_; }

 private:
  Legacy& raw(const void* from, std::size_t size) {
    bytes_.append(static_cast<const char*>(from), size);
    return *this;
  }

  std::string bytes_;
};

ImportanceMatrix read(const std::string& bytes) {
  return read_importance(test::MemoryFile(bytes), "x.imatrix");
}

std::string error_of(const std::string& bytes) {
  try {
    read(bytes);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

Legacy two_tensors() {
  Legacy file;
  file.number(2);
  file.text("blk.0.attn_q.weight").number(4).values({4.0F, 8.0F});
  // No calls: the sums are taken as they are.
  file.text("blk.0.ffn_up.weight").number(0).values({3.0F});
  return file;
}

TEST_CASE("convert/imatrix: the older form gives sums divided by calls") {
  const ImportanceMatrix matrix = read(two_tensors().number(7).text("wiki.txt").bytes());
  CHECK(matrix.weights.size() == 2);
  const auto weights = matrix.find("blk.0.attn_q.weight");
  CHECK(std::vector<float>(weights.begin(), weights.end()) == std::vector<float>{1.0F, 2.0F});
  CHECK(matrix.find("blk.0.ffn_up.weight").front() == 3.0F);
  CHECK(matrix.find("blk.1.ffn_up.weight").empty());
  CHECK(matrix.chunks == 7);
  CHECK(matrix.datasets == std::vector<std::string>{"wiki.txt"});
}

TEST_CASE("convert/imatrix: chunks and data set of the older form are optional") {
  const ImportanceMatrix bare = read(two_tensors().bytes());
  CHECK(bare.chunks == 0);
  CHECK(bare.datasets.empty());
  const ImportanceMatrix counted = read(two_tensors().number(7).bytes());
  CHECK(counted.chunks == 7);
  CHECK(counted.datasets.empty());
}

TEST_CASE("convert/imatrix: the keys say file, data set, entries and chunks, cut at 127 bytes") {
  const ImportanceMatrix matrix = read(two_tensors().number(7).text(std::string(200, 'd')).bytes());
  const Metadata keys = importance_metadata(matrix, std::string(200, 'f'));
  const auto text = [&](std::string_view key) { return std::get<std::string>(*keys.find(key)); };
  CHECK(text("quantize.imatrix.file") == std::string(127, 'f'));
  CHECK(text("quantize.imatrix.dataset") == std::string(127, 'd'));
  CHECK(std::get<std::uint32_t>(*keys.find("quantize.imatrix.entries_count")) == 2);
  CHECK(std::get<std::uint32_t>(*keys.find("quantize.imatrix.chunks_count")) == 7);
}

TEST_CASE("convert/imatrix: a broken older file names tensor, field and value") {
  struct Row {
    const char* name;
    std::string bytes;
    std::string error;
  };

  const float infinite = std::numeric_limits<float>::infinity();
  const std::vector<Row> rows = {
      {"empty", "", "x.imatrix: number of entries: truncated at byte 0"},
      {"no entries", Legacy().number(0).bytes(),
       "x.imatrix: number of entries: expected 1 to 1000000, found 0"},
      {"negative entries", Legacy().number(-1).bytes(),
       "x.imatrix: number of entries: expected 1 to 1000000, found -1"},
      {"long name", Legacy().number(1).number(5000).bytes(),
       "x.imatrix: length of a name: expected 1 to 1024, found 5000"},
      {"name cut off", Legacy().number(1).number(9).bytes(), "x.imatrix: name: truncated"},
      {"negative calls", Legacy().number(1).text("t").number(-3).bytes(),
       "x.imatrix: t: expected 0 to 2147483647, found -3"},
      {"more values than bytes", Legacy().number(1).text("t").number(1).number(1 << 30).bytes(),
       "x.imatrix: t: expected 1 to 0, found 1073741824"},
      {"an entry too few", Legacy().number(2).text("t").number(1).values({1.0F}).bytes(),
       "x.imatrix: length of a name: truncated at byte 21"},
      {"infinite", Legacy().number(1).text("t").number(1).values({1.0F, infinite}).bytes(),
       "x.imatrix: t: weight 1 is inf"},
      {"negative", Legacy().number(1).text("t").number(1).values({1.0F, -2.0F}).bytes(),
       "x.imatrix: t: weight 1 is -2.000000"},
      {"a name twice",
       Legacy()
           .number(2)
           .text("t")
           .number(1)
           .values({1.0F})
           .text("t")
           .number(1)
           .values({2.0F})
           .bytes(),
       "x.imatrix: t: entry 1 has the name of an earlier one"},
      {"data set cut off", two_tensors().number(7).number(40).number(0).bytes(),
       "x.imatrix: length of the data set's name: expected 0 to 4, found 40"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.name);
    CHECK(error_of(row.bytes) == row.error);
  }
}

// A GGUF of one-dimensional F32 tensors.
std::string gguf_file(const std::vector<std::pair<std::string, std::vector<float>>>& tensors) {
  Metadata metadata;
  metadata.set("imatrix.datasets", std::vector<std::string>{"wiki.txt"});
  metadata.set("imatrix.chunk_count", std::uint32_t{3});
  metadata.set("imatrix.chunk_size", std::uint32_t{512});
  std::vector<GgufTensor> table;
  std::string data;
  for (const auto& [name, values] : tensors) {
    table.push_back({.name = name, .ne = {values.size()}, .type = 0, .offset = data.size()});
    data.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
    data.resize(aligned(data.size()));
  }
  const std::vector<std::byte> header = encode_gguf_header(metadata, table);
  return std::string(reinterpret_cast<const char*>(header.data()), header.size()) + data;
}

TEST_CASE("convert/imatrix: GGUF gives means by expert, and ones where an expert saw no text") {
  const ImportanceMatrix matrix =
      read(gguf_file({{"e.in_sum2", {2.0F, 4.0F, 5.0F, 6.0F}}, {"e.counts", {2.0F, 0.0F}}}));
  const auto weights = matrix.find("e");
  CHECK(std::vector<float>(weights.begin(), weights.end()) ==
        std::vector<float>{1.0F, 2.0F, 1.0F, 1.0F});
  CHECK(matrix.chunks == 3);
  CHECK(matrix.datasets == std::vector<std::string>{"wiki.txt"});
}

TEST_CASE("convert/imatrix: a broken GGUF names tensor and value") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  CHECK(error_of(gguf_file({{"e.in_sum2", {2.0F}}})) == "x.imatrix: e: sums without counts");
  CHECK(error_of(gguf_file({{"e.in_sum2", {2.0F, 1.0F, 1.0F}}, {"e.counts", {1.0F, 1.0F}}})) ==
        "x.imatrix: e: 3 sums for 2 counts");
  CHECK(error_of(gguf_file({{"e.in_sum2", {nan}}, {"e.counts", {1.0F}}})) ==
        "x.imatrix: e.in_sum2: weight 0 is nan");
  CHECK(error_of(gguf_file({{"e.in_sum2", {2.0F, -1.0F}}, {"e.counts", {1.0F}}})) ==
        "x.imatrix: e.in_sum2: weight 1 is -1.000000");
  CHECK(error_of(gguf_file({{"e.in_sum2", {2.0F}}, {"e.counts", {-1.0F}}})) ==
        "x.imatrix: e.counts: weight 0 is -1.000000");
  const std::string twice =
      error_of(gguf_file({{"e.in_sum2", {2.0F}}, {"e.counts", {1.0F}}, {"e.in_sum2", {3.0F}}}));
  CHECK(twice.find("e.in_sum2") != std::string::npos);
  CHECK(twice.ends_with("given twice"));
  CHECK(error_of(gguf_file({{"e.counts", {1.0F}}})) == "x.imatrix: has no tensor NAME.in_sum2");
}

}  // namespace
}  // namespace holdfast::convert
