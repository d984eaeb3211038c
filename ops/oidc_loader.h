// Fetches the keys of the configured identity providers, from files or URLs, for web/oidc.h: web/
// opens no connection of its own.
//
// One thread from construction on, joined by destruction. Files are read at once, so that a bad one
// is an error at the start; a URL that does not answer is tried again, and the log says so. Keys
// that were read stay in use until newer ones are.
//
// Errors of the constructor: Denied (a URL where no outbound connection may be made), and of a
// file: NotFound, Corrupt, LimitExceeded, Io.
#pragma once

#include <memory>
#include <stop_token>
#include <thread>
#include <vector>

#include "mirror/http_client.h"
#include "ops/config.h"
#include "web/oidc.h"

namespace holdfast::ops {

class OidcLoader {
 public:
  explicit OidcLoader(const Config& config);
  OidcLoader(const OidcLoader&) = delete;
  OidcLoader& operator=(const OidcLoader&) = delete;

  web::OidcKeys& keys() noexcept { return keys_; }

  const web::OidcKeys& keys() const noexcept { return keys_; }

  // Reads them again, soon: after SIGHUP.
  void reload() noexcept { keys_.ask_again(); }

 private:
  // Where the keys of one issuer come from.
  struct Source {
    std::string name;  // the issuer's
    std::filesystem::path file;
    std::unique_ptr<mirror::HttpClient> client;  // nullptr: a file
  };

  web::KeySet load(const Source& source, const std::stop_token& stop) const;
  void run(const std::stop_token& stop);

  std::vector<Source> sources_;
  web::OidcKeys keys_;
  std::jthread thread_;  // last: it uses the others
};

}  // namespace holdfast::ops
