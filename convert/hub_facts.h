// What the hub's answers say of a model beside its card and weights: the parts of its small JSON
// files that the hub shows as `config`, its mask token, and its evaluation results. A fact of
// model_facts.h, so that web/ reads no model file. Thread-safe.
#pragma once

#include "convert/model_files.h"
#include "storage/base/json.h"

namespace holdfast::convert {

// {"config": {"architectures", "model_type", "auto_map", "quantization_config",
// "tokenizer_config", "peft", "diffusers"}, "mask_token": text, "eval_results": [{"dataset": {"id",
// "task_id", …}, "value", …}…]} as far as the files say so; empty when none does. Files that cannot
// be read, entries without what clients need, and values above 64 KiB say nothing. Errors that are
// not the files' own (Io, NotFound) are thrown.
Json::Object hub_facts(const ModelFiles& files);

}  // namespace holdfast::convert
