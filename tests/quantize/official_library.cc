#include "tests/quantize/official_library.h"

#include <csetjmp>
#include <cstdio>
#include <cstdlib>

#include <dlfcn.h>
#include <fcntl.h>
#include <unistd.h>

namespace holdfast::tests {
namespace {

// The head of the library's public ggml_type_traits structure.
struct TypeTraits {
  const char* name;
  std::int64_t block_values;
  std::int64_t block_values_interleaved;
  std::size_t block_bytes;
  bool is_quantized;
  void (*to_float)(const void* blocks, float* values, std::int64_t count);
};

template <class Function>
bool bind(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(library, name));
  return function != nullptr;
}

// Where the library would stop the process it comes back here instead. It holds nothing then.
std::jmp_buf abort_target;

[[noreturn]] void leave_library(const char*) { std::longjmp(abort_target, 1); }

// The library prints its grief: before it stops to stdout, about invalid blocks to stderr.
class Silence {
 public:
  explicit Silence(int stream) : stream_(stream), kept_(dup(stream)) {
    std::fflush(nullptr);
    const int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (null < 0) return;
    dup2(null, stream_);
    close(null);
  }

  Silence(const Silence&) = delete;
  Silence& operator=(const Silence&) = delete;

  ~Silence() {
    if (kept_ < 0) return;
    std::fflush(nullptr);
    dup2(kept_, stream_);
    close(kept_);
  }

 private:
  int stream_, kept_;
};

// No object with a destructor lives across the jump.
template <class Body>
bool survives(const Body& body) {
  if (setjmp(abort_target) != 0) return false;
  body();
  return true;
}

}  // namespace

struct LibraryLoader {
  OfficialLibrary library;
  std::string reason;
  bool found = false;

  LibraryLoader() {
    const char* given = std::getenv("HOLDFAST_GGML_BASE");
    const std::string path =
        given != nullptr ? given
                         : HOLDFAST_SOURCE_DIR
            "/tests/clients/node_modules/@node-llama-cpp/linux-x64/bins/linux-x64/libggml-base.so";
    void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr) {
      reason = dlerror();
      return;
    }
    found = bind(handle, "ggml_quantize_init", library.initialise_) &&
            bind(handle, "ggml_quantize_chunk", library.encode_) &&
            bind(handle, "ggml_validate_row_data", library.validate_) &&
            bind(handle, "ggml_get_type_traits", library.traits_) &&
            bind(handle, "ggml_set_abort_callback", library.set_abort_callback_);
    if (!found) reason = path + ": lacks an expected function";
  }
};

const OfficialLibrary* OfficialLibrary::find(std::string& reason) {
  static const LibraryLoader loader;
  reason = loader.reason;
  return loader.found ? &loader.library : nullptr;
}

void OfficialLibrary::encode_into(quantize::Format format, std::span<const float> values,
                                  std::uint64_t row_values, std::span<const float> importance,
                                  std::byte* out) const {
  const int type = static_cast<int>(format);
  initialise_(type);
  encode_(type, values.data(), out, 0, static_cast<std::int64_t>(values.size() / row_values),
          static_cast<std::int64_t>(row_values), importance.empty() ? nullptr : importance.data());
}

std::vector<std::byte> OfficialLibrary::encode(quantize::Format format,
                                               std::span<const float> values,
                                               std::uint64_t row_values,
                                               std::span<const float> importance) const {
  std::vector<std::byte> out(quantize::row_bytes(quantize::info(format), values.size()));
  encode_into(format, values, row_values, importance, out.data());
  return out;
}

OfficialLibrary::Verdict OfficialLibrary::judge(quantize::Format format,
                                                std::span<const float> values,
                                                std::uint64_t row_values,
                                                std::span<const float> importance) const {
  const quantize::FormatInfo& row = quantize::info(format);
  Verdict verdict{std::vector<std::byte>(quantize::row_bytes(row, values.size())),
                  std::vector<bool>(values.size() / row.block_values)};
  const Silence silence(STDOUT_FILENO);
  const AbortCallback before = set_abort_callback_(leave_library);
  const bool whole =
      survives([&] { encode_into(format, values, row_values, importance, verdict.blocks.data()); });
  for (std::size_t i = 0; i < verdict.refused.size() && !whole; ++i) {
    const std::size_t at = i * row.block_values;
    verdict.refused[i] = !survives([&] {
      encode_into(
          format, values.subspan(at, row.block_values), row.block_values,
          importance.empty() ? importance : importance.subspan(at % row_values, row.block_values),
          verdict.blocks.data() + i * row.block_bytes);
    });
  }
  set_abort_callback_(before);
  return verdict;
}

std::vector<bool> OfficialLibrary::valid(quantize::Format format,
                                         std::span<const std::byte> blocks) const {
  const std::size_t bytes = quantize::info(format).block_bytes;
  std::vector<bool> valid(blocks.size() / bytes);
  const Silence silence(STDERR_FILENO);
  for (std::size_t i = 0; i < valid.size(); ++i) {
    valid[i] = validate_(static_cast<int>(format), blocks.data() + i * bytes, bytes);
  }
  return valid;
}

void OfficialLibrary::decode_into(quantize::Format format, std::span<const std::byte> blocks,
                                  std::span<float> out) const {
  const auto* traits = static_cast<const TypeTraits*>(traits_(static_cast<int>(format)));
  traits->to_float(blocks.data(), out.data(), static_cast<std::int64_t>(out.size()));
}

std::vector<float> OfficialLibrary::decode(quantize::Format format,
                                           std::span<const std::byte> blocks) const {
  const quantize::FormatInfo& row = quantize::info(format);
  std::vector<float> out(blocks.size() / row.block_bytes * row.block_values);
  decode_into(format, blocks, out);
  return out;
}

}  // namespace holdfast::tests
