// What `holdfast inspect` says about a model: files, tensors, keys, card, architecture, tokenizer.
#pragma once

#include <string>
#include <string_view>

#include "storage/base/json.h"
#include "storage/store.h"

namespace holdfast::convert {

// `source` is a model file, a folder, or "owner/name[@revision]" (then `store` may not be null).
// {"source", "files": [{"path", …file facts}], "card", "config": {"architecture", "supported",
// "gguf_architecture"}, "tokenizer": {"model", "pre", "tokens"}}; card, config and tokenizer are
// null where there is none. Errors: NotFound, Invalid, Io.
Json::Object inspect(std::string_view source, storage::Store* store);

// The same for people. Tensors are listed when a single file is inspected.
std::string inspection_text(const Json::Object& inspection);

}  // namespace holdfast::convert
