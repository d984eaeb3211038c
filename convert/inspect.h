// What `holdfast inspect` says about a model: files, tensors, keys, card, architecture, tokenizer.
#pragma once

#include <string>
#include <string_view>

#include "storage/base/json.h"

namespace holdfast::convert {

// Of a model file (with its "ledger", where that lies beside it) or a folder. {"source", "files":
// [{"path", …file facts}], "card", "config", "tokenizer"} with the facts of model_facts.h; null
// where there is none. Errors: NotFound, Io.
Json::Object inspect(std::string_view source);

// The same of a stored revision, from the fact rows that its scan wrote, by key.
Json::Object inspection_of_facts(std::string_view source, const Json::Object& facts);

// The same for people. Tensors are listed when a single file is inspected.
std::string inspection_text(const Json::Object& inspection);

}  // namespace holdfast::convert
