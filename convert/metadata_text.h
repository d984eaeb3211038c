// Metadata for people and for JSON: short, with long arrays cut.
#pragma once

#include <string>

#include "convert/metadata.h"
#include "storage/base/json.h"

namespace holdfast::convert {

// "u32 32", "string \"llama\"", "[string × 128256] \"<s>\", …".
std::string to_text(const MetadataValue& value);

// The value itself; of an array longer than `elements_max` an object {"length", "first"}.
Json to_json(const MetadataValue& value, std::size_t elements_max);

}  // namespace holdfast::convert
