#include "convert/ledger.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>

#include "convert/convert.h"
#include "convert/safetensors.h"
#include "quantize/rows.h"
#include "storage/base/file.h"
#include "tests/convert/fixtures.h"
#include "tests/convert/synthetic_model.h"

namespace holdfast::convert {
namespace {

namespace fs = std::filesystem;

// What the ledger says of a tensor, worked out from the two files.
struct Loss {
  double rmse = 0, max_error = 0, cosine = 0;
};

std::vector<float> source_values(const std::string& file, const SourceTensor& tensor) {
  const auto bytes = as_bytes(file).subspan(tensor.offset, tensor.size_bytes);
  std::vector<float> values(tensor.elements());
  quantize::decode_rows(quantize::Format::BF16, bytes, values);
  return values;
}

Loss loss_of(const std::vector<float>& values, const std::vector<float>& decoded) {
  double error = 0, source = 0, back = 0, product = 0;
  Loss loss;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double x = values[i], y = decoded[i];
    error += (x - y) * (x - y);
    source += x * x;
    back += y * y;
    product += x * y;
    loss.max_error = std::max(loss.max_error, std::fabs(x - y));
  }
  loss.rmse = std::sqrt(error / static_cast<double>(values.size()));
  loss.cosine = product / std::sqrt(source * back);
  return loss;
}

TEST_CASE("convert/ledger: what a tensor of several slabs lost is what its blocks decode to") {
  const test::Scratch scratch;
  const fs::path model = scratch.path() / "Model", out = scratch.path() / "model.gguf";
  fs::create_directory(model);
  // Two MiB a matrix, four slabs.
  test::write_synthetic(model, {.hidden = 1024, .feed_forward = 1024, .layers = 1});
  const std::string source = read_file(model / "model.safetensors");
  const Checkpoint checkpoint = read_checkpoint(*open_directory(model.string()));
  for (const char* type : {"Q8_0", "Q4_0", "Q4_K_M"}) {
    test::Context context;
    convert({.source = model.string(),
             .types = {type},
             .out = out.string(),
             .force = true,
             .threads = 3,
             .ledger = true},
            nullptr, context);
    const std::string bytes = read_file(out);
    const Json ledger = parse_json(read_file(ledger_path(out.string())), "ledger");
    std::size_t quantized = 0;
    for (const Json& row : ledger.find("tensors")->as_array()) {
      const std::string_view name = row.find("name")->as_string();
      const auto format = quantize::parse_format(row.find("type")->as_string());
      // Heads are reordered in the two others.
      if (!format || name.find("attn_q") != name.npos || name.find("attn_k") != name.npos) continue;
      CAPTURE(type);
      CAPTURE(name);
      const auto from = std::ranges::find(
          checkpoint.tensors, row.find("from")->as_array().at(0).find("name")->as_string(),
          &SourceTensor::name);
      REQUIRE(from != checkpoint.tensors.end());
      const std::vector<float> values = source_values(source, *from);
      std::vector<float> decoded(values.size());
      quantize::decode_rows(
          *format,
          as_bytes(bytes).subspan(row.find("offset")->as_uint(), row.find("size")->as_uint()),
          decoded);
      const Loss loss = loss_of(values, decoded);
      CHECK(row.find("rmse")->as_double() == doctest::Approx(loss.rmse).epsilon(2e-6));
      CHECK(row.find("max_error")->as_double() == doctest::Approx(loss.max_error).epsilon(1e-6));
      CHECK(std::fabs(row.find("cosine")->as_double() - loss.cosine) < 1e-6);
      quantized += loss.rmse > 0;
    }
    CHECK(quantized >= 5);
  }
}

}  // namespace
}  // namespace holdfast::convert
