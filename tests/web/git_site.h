// The real git against a real server.
#pragma once

#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>

#include "storage/base/file.h"
#include "tests/web/sample_store.h"
#include "web/server.h"

namespace holdfast::tests {

// A running server and a directory in which shell lines run; $URL is the repository's.
class GitSite {
 public:
  GitSite() : store_(storage::Store::open({.directory = data_.path()})) {}

  storage::Store& store() { return *store_; }

  void start() {
    web::ServerOptions options;
    options.listen = "127.0.0.1:0";
    server_ = std::make_unique<web::Server>(options, *store_);
    server_->start();
  }

  std::string repository = "org/history";

  // The exit code of `line`; what it says is in output().
  int run(const std::string& line) {
    const std::string script =
        "cd '" + work_.path().string() + "' && export HOME=$PWD GIT_TERMINAL_PROMPT=0 " +
        "GIT_CONFIG_NOSYSTEM=1 GIT_LFS_SKIP_SMUDGE=${SMUDGE:-1} URL=http://" + server_->address() +
        "/" + repository + " && { " + line + "; } >out 2>&1";
    return std::system(script.c_str());
  }

  std::string output() const { return read_file(work_.path() / "out"); }

  std::string file(const std::string& name) const { return read_file(work_.path() / name); }

 private:
  ScratchDirectory data_, work_;
  std::unique_ptr<storage::Store> store_;
  std::unique_ptr<web::Server> server_;
};

inline bool have(const char* command) {
  if (std::system((std::string(command) + " >/dev/null 2>&1").c_str()) == 0) return true;
  std::cout << "SKIPPED: " << command << " does not run\n";
  return false;
}

}  // namespace holdfast::tests
