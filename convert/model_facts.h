// What can be said about model files without reading weights: the facts that pages show, that
// `inspect` prints and that scan jobs store. JSON because that is what all three want.
//
// A file fact: {"kind": "safetensors" | "gguf", "tensors": n, "parameters": {"total", "by_dtype":
// {dtype: n}}, "metadata": {key: value}, "tensor_table": [[name, dtype, shape, bytes]…]}, or
// {"kind", "error"} for a file whose header is broken: a fact as well.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "convert/model_files.h"
#include "storage/base/json.h"

namespace holdfast::convert {

// Rows of a tensor table that facts keep; "tensors" has the true number.
inline constexpr std::size_t kTableRowsDefault = 2000;

// Whether the name is that of a model file that has facts.
bool has_facts(std::string_view path) noexcept;

// Errors that are not the file's own (Io, NotFound) are thrown.
Json::Object file_facts(const ModelFile& file, std::string_view path,
                        std::size_t table_rows_max = kTableRowsDefault);

// Called after each file; `error` is empty for a healthy one. Throws to stop.
using FactsProgress =
    std::function<void(std::size_t done, std::size_t files, std::string_view error)>;

// All facts of a model by key, as scan jobs store them:
// "card": {"front_matter", "license", "tags", "pipeline_tag", "library_name", "base_model": [],
// "parameters": {"total", "by_dtype"}, "formats": []}; "config": {"architecture", "supported",
// "gguf_architecture"} and "tokenizer": {"model", "pre", "tokens"}, or {"error"}, where the model
// has them; "hub": hub_facts.h, where there are any (stores of older versions have none);
// "file/<path>" of each model file.
std::vector<std::pair<std::string, Json>> model_facts(const ModelFiles& files,
                                                      const FactsProgress& progress = {});

// The same of a model of which nothing but this card (README.md) is here. Thread-safe.
std::vector<std::pair<std::string, Json>> facts_of_card(std::string_view card);

}  // namespace holdfast::convert
