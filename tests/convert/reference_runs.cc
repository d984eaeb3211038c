#include "tests/convert/reference_runs.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "convert/convert.h"
#include "convert/ggml_type.h"
#include "convert/gguf_reader.h"
#include "storage/base/error.h"
#include "storage/base/file.h"
#include "tests/convert/fixtures.h"

namespace holdfast::convert::test {
namespace {

namespace fs = std::filesystem;

// A recorded run and the request that must give the same bytes.
struct Run {
  std::string label;
  ConvertRequest request;
  std::vector<Json> files;  // the record of each file
};

std::vector<std::string> words_of(const std::string& command) {
  std::vector<std::string> words;
  for (std::size_t begin = 0; begin < command.size();) {
    const std::size_t end = std::min(command.find(' ', begin), command.size());
    words.push_back(command.substr(begin, end - begin));
    begin = end + 1;
  }
  return words;
}

// Types that the peer's two programs make differently have a name of ours for the less usual way.
std::string converter_name(const std::string& type) {
  return type.starts_with("tq") ? type + "_converter" : type;
}

std::string quantizer_name(const std::string& type) {
  return type == "Q8_0" ? "Q8_0_QUANTIZER" : type;
}

ConvertRequest request_of(const fs::path& folder, const std::string& command) {
  ConvertRequest request{.source = folder.string(), .plain = true, .threads = 2};
  const std::vector<std::string> words = words_of(command);
  for (std::size_t i = 0; i + 1 < words.size(); ++i) {
    if (words[i] == "--outtype") request.types = {converter_name(words[i + 1])};
    if (words[i] == "--no-mtp") request.no_mtp = true;
    if (words[i] == "--fuse-qkv") request.fuse_qkv = true;
    if (words[i] == "--split-max-tensors") request.split.tensors_max = std::stoull(words[i + 1]);
    if (words[i] == "--fp8-as-q8") request.fp8_as_q8 = true;
    if (words[i] == "--model-name") request.model_name = words[i + 1];
    if (words[i] == "--metadata") {
      request.metadata_override =
          parse_json(read_file(folder / "metadata_override.json"), "metadata_override.json");
    }
  }
  return request;
}

std::vector<Json> files_of(const Json& record) {
  const Json* files = record.find("files");
  if (files != nullptr) return {files->as_array().begin(), files->as_array().end()};
  if (record.find("tensors") == nullptr) return {};  // the peer failed
  return {record};
}

bool types_have_kernels(const Json& record) {
  for (const Json& tensor : record.find("tensors")->as_array()) {
    const GgmlType* type = find_ggml_type(tensor.find("ggml_type")->as_string());
    if (type == nullptr || !has_kernel(quantize::Format{type->id})) return false;
  }
  return true;
}

std::vector<Run> runs_of(const fs::path& folder) {
  const Json expected = parse_json(read_file(folder / "expected.json"), "expected.json");
  std::vector<Run> runs;
  for (const auto& [name, record] : expected.find("runs")->as_object()) {
    std::vector<Json> files = files_of(record);
    if (files.empty()) continue;
    ConvertRequest request = request_of(folder, record.find("command")->as_string());
    request.config_defaults = name.ends_with("_autoconfig");
    runs.push_back({name, std::move(request), std::move(files)});
  }
  const Json* results = expected.find_path({"quantize", "results"});
  if (results == nullptr) return runs;
  for (const auto& [name, record] : results->as_object()) {
    if (files_of(record).empty() || !types_have_kernels(record)) continue;
    ConvertRequest request{.source = folder.string(),
                           .types = {quantizer_name(name.substr(0, name.find('+')))},
                           .plain = true,
                           .threads = 2};
    if (name.ends_with("+imatrix")) request.imatrix = (folder / "imatrix.gguf").string();
    runs.push_back({name, std::move(request), {record}});
  }
  return runs;
}

// What the file says about its tensors, in the form of the record.
std::vector<std::string> tensor_lines(const fs::path& path) {
  const auto files = open_directory(path.parent_path().string());
  const auto file = files->open(path.filename().string());
  const GgufFile gguf = read_gguf(*file, "out.gguf");
  std::vector<std::string> lines;
  for (const GgufTensor& tensor : gguf.tensors) {
    std::vector<std::byte> bytes(tensor_bytes(tensor));
    file->read(gguf.data_offset + tensor.offset, bytes);
    lines.push_back(tensor.name + " " + std::string(find_ggml_type(tensor.type)->name) + " " +
                    std::to_string(tensor.offset) + " " + to_hex(sha256(bytes)));
  }
  return lines;
}

std::vector<std::string> recorded_lines(const Json& record) {
  std::vector<std::string> lines;
  for (const Json& tensor : record.find("tensors")->as_array()) {
    lines.push_back(tensor.find("name")->as_string() + " " + tensor.find("ggml_type")->as_string() +
                    " " + std::to_string(tensor.find("offset")->as_uint()) + " " +
                    tensor.find("sha256")->as_string());
  }
  return lines;
}

void check_file(const Json& output, const Json& record) {
  // The tensors first: of two differing hashes of a whole file nobody learns anything.
  const std::vector<std::string> ours = tensor_lines(output.find("path")->as_string());
  const std::vector<std::string> theirs = recorded_lines(record);
  CHECK(ours.size() == theirs.size());
  for (std::size_t i = 0; i < std::min(ours.size(), theirs.size()); ++i)
    CHECK(ours[i] == theirs[i]);
  CHECK(output.find("size")->as_uint() == record.find("file_size")->as_uint());
  CHECK(output.find("sha256")->as_string() == record.find("file_sha256")->as_string());
}

void check_run(const Run& run, const fs::path& out) {
  CAPTURE(run.label);
  Context context;
  ConvertRequest request = run.request;
  request.out = out.string();
  request.force = true;
  const Json result = convert(request, nullptr, context);
  const Json::Array& outputs = result.find("outputs")->as_array();
  REQUIRE(outputs.size() == run.files.size());
  for (std::size_t i = 0; i < outputs.size(); ++i) check_file(outputs[i], run.files[i]);
}

}  // namespace

void check_reference_case(std::string_view name) {
  CAPTURE(name);
  const auto folder = reference_folder();
  if (!folder) return skip("shared/data/reference is absent");
  const Scratch scratch;
  const std::vector<Run> runs = runs_of(*folder / "cases" / name);
  CHECK(!runs.empty());
  for (const Run& run : runs) check_run(run, scratch.path() / "out.gguf");
}

}  // namespace holdfast::convert::test
