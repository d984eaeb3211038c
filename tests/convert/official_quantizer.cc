#include "tests/convert/official_quantizer.h"

#include <vector>

#include <dlfcn.h>

namespace holdfast::convert::test {
namespace {

template <class Function>
bool bind(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(library, name));
  return function != nullptr;
}

void be_silent(int, const char*, void*) {}

}  // namespace

const OfficialQuantizer* OfficialQuantizer::find(std::string& reason) {
  static std::string problem;
  static const OfficialQuantizer* const loaded = []() -> const OfficialQuantizer* {
    const std::string folder =
        HOLDFAST_SOURCE_DIR "/tests/clients/node_modules/@node-llama-cpp/linux-x64/bins/linux-x64/";
    // The library finds its siblings by their names alone once they are loaded.
    for (const char* name : {"libggml-base.so", "libggml.v0.5.0.so"}) {
      dlopen((folder + name).c_str(), RTLD_NOW | RTLD_GLOBAL);
    }
    void* library = dlopen((folder + "libllama.v0.5.0.so").c_str(), RTLD_NOW | RTLD_GLOBAL);
    if (library == nullptr) {
      problem = dlerror();  // NOLINT(concurrency-mt-unsafe): once, in a static's initialiser
      return nullptr;
    }
    static OfficialQuantizer found;
    if (!bind(library, "llama_model_quantize_default_params", found.defaults_) ||
        !bind(library, "llama_model_quantize", found.quantize_) ||
        !bind(library, "llama_log_set", found.set_log_)) {
      problem = "libllama lacks llama_model_quantize";
      return nullptr;
    }
    found.set_log_(be_silent, nullptr);
    return &found;
  }();
  reason = problem;
  return loaded;
}

bool OfficialQuantizer::run(const std::filesystem::path& input, const std::filesystem::path& output,
                            std::uint32_t file_type, int threads,
                            const std::set<std::uint64_t>& pruned_layers) const {
  std::vector<std::int32_t> layers;
  for (const std::uint64_t layer : pruned_layers) {
    layers.push_back(static_cast<std::int32_t>(layer));
  }
  layers.push_back(-1);  // the end
  Parameters parameters = defaults_();
  parameters.threads = threads;
  parameters.file_type = file_type;
  if (!pruned_layers.empty()) parameters.prune = layers.data();
  return quantize_(input.c_str(), output.c_str(), &parameters) == 0;
}

}  // namespace holdfast::convert::test
