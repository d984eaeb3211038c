// SOURCE of the command line, opened.
#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "convert/model_files.h"
#include "convert/publish.h"
#include "storage/store.h"

namespace holdfast::convert {

struct OpenedSource {
  std::unique_ptr<ModelFiles> files;
  std::optional<DerivedSource> revision;  // nothing for a folder
  std::string gguf;                       // the file, when the source is a single GGUF
};

// A folder or a GGUF file (see is_path), or "owner/name[@revision]" of the store, which may be null
// for a folder. Errors: NotFound, Invalid.
OpenedSource open_source(std::string_view source, storage::Store* store);

}  // namespace holdfast::convert
