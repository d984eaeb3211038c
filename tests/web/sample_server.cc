// Serves a store until its standard input ends: for the client scripts, the benchmark and a look at
// the pages. Usage: web_sample_server DIRECTORY [WEIGHTS_BYTES [UNIX_SOCKET]]; fills an empty store
// with the sample, prints its URL. WEB_THREADS: of the server; WEB_SMALL_FILES: so many files of
// 2 KiB in a repository org/small; WEB_CERTIFICATE, WEB_KEY: it speaks TLS; WEB_XET: a mode of
// "web.xet"; the sample then has indexes, and a repository org/xet.
#include <cstdlib>
#include <iostream>
#include <string>

#include "storage/base/error.h"
#include "tests/web/sample_store.h"
#include "tests/web/xet_files.h"
#include "web/server.h"

namespace {

void add_small_files(holdfast::storage::Store& store, std::size_t count) {
  constexpr std::size_t kFileBytes = 2048;
  holdfast::tests::SampleRepository small{.id = "org/small", .files = {}, .facts = {}};
  const std::string bytes = holdfast::tests::pattern_bytes(kFileBytes + count);
  for (std::size_t i = 0; i < count; ++i) {
    small.files.push_back({"f" + std::to_string(i), bytes.substr(i, kFileBytes)});
  }
  holdfast::tests::publish(store, small);
}

// With one file more than a xorb can hold.
void add_xet_files(holdfast::storage::Store& store) {
  constexpr std::size_t kBytes = 70'000'000;
  auto files = holdfast::tests::xet_files();
  files.push_back(
      {"large.bin", std::string(holdfast::as_text(holdfast::tests::mixed_bytes(kBytes, 1))), true});
  holdfast::tests::publish(store, {.id = "org/xet", .files = std::move(files), .facts = {}});
  for (const char* const repo : {"org/xet", "org/tiny"}) holdfast::tests::index_main(store, repo);
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc < 2) {
    std::cerr << "usage: web_sample_server DIRECTORY [WEIGHTS_BYTES [UNIX_SOCKET]]\n";
    return 64;
  }
  const auto store = holdfast::storage::Store::open({.directory = argv[1]});
  const std::size_t weights = argc > 2 ? std::stoull(argv[2]) : holdfast::tests::kWeightsBytes;
  if (store->catalog().list_repositories({.limit = 1}).empty()) {
    holdfast::tests::fill_sample(*store, weights);
    if (const char* count = std::getenv("WEB_SMALL_FILES")) {
      add_small_files(*store, std::stoul(count));
    }
    if (std::getenv("WEB_XET") != nullptr) add_xet_files(*store);
  }
  holdfast::web::ServerOptions options{.listen = "127.0.0.1:0", .version = "sample"};
  if (const char* threads = std::getenv("WEB_THREADS")) {
    options.threads = static_cast<unsigned>(std::stoul(threads));
  }
  if (const char* mode = std::getenv("WEB_XET")) {
    options.xet = holdfast::web::find_xet_mode(mode).value();
  }
  if (const char* certificate = std::getenv("WEB_CERTIFICATE")) {
    const char* const key = std::getenv("WEB_KEY");
    options.tls = {.certificate = certificate, .key = key == nullptr ? certificate : key};
  }
  if (argc > 3) options.socket_path = argv[3];
  holdfast::web::Server server(options, *store);
  server.start();
  std::cout << (options.tls.certificate.empty() ? "http://" : "https://") << server.address()
            << std::endl;
  std::string ignored;
  while (std::getline(std::cin, ignored)) {
  }
  server.drain(std::chrono::seconds(5));
  return 0;
} catch (const std::exception& error) {
  std::cerr << error.what() << "\n";
  return 2;
}
