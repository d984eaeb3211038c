// What must hold for any bytes that a parser of convert is given: it accepts them and what it says
// is consistent, or it throws holdfast::Error. The fuzz targets and the replay of their seeds call
// these.
#pragma once

#include <string_view>

namespace holdfast::convert::test {

void check_safetensors(std::string_view bytes);
void check_gguf(std::string_view bytes);
// The bytes as config.json, through hyperparameters and the drafting of tensors.
void check_config(std::string_view bytes);
// The bytes as model.safetensors.index.json beside one good shard.
void check_index(std::string_view bytes);
// The bytes as an importance matrix, in either form.
void check_imatrix(std::string_view bytes);
// The bytes as a model card.
void check_card(std::string_view bytes);

}  // namespace holdfast::convert::test
