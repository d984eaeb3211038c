#include "ops/oidc_loader.h"

#include <utility>

#include <spdlog/spdlog.h>

#include "storage/base/error.h"
#include "storage/base/file.h"
#include "web/limits.h"

namespace holdfast::ops {
namespace {

// Providers publish a key well before they sign with it; a token with a newer one asks earlier.
constexpr std::chrono::minutes kPeriod{10};

class Text final : public mirror::BodySink {
 public:
  void begin(const mirror::HttpResponse&) override { text_.clear(); }

  void write(std::span<const std::byte> bytes) override { text_.append(as_text(bytes)); }

  const std::string& text() const noexcept { return text_; }

 private:
  std::string text_;
};

mirror::HttpConfig client_config(const std::string& url, const Config& config) {
  mirror::HttpConfig client{.endpoint = mirror::parse_url(url)};
  client.redirect_hosts = {};  // the provider's own host and nobody else
  client.offline = config.offline;
  return client;
}

}  // namespace

OidcLoader::OidcLoader(const Config& config) : keys_(config.guards.oidc.size()) {
  for (const web::OidcIssuer& issuer : config.guards.oidc) {
    Source source{.name = issuer.issuer, .file = issuer.jwks_file, .client = nullptr};
    if (!issuer.jwks_url.empty()) {
      if (config.offline) {
        fail(ErrorKind::Denied, config.source.string() + ": access.oidc: jwks_url \"" +
                                    issuer.jwks_url + "\": offline = true needs a jwks_file");
      }
      source.client = std::make_unique<mirror::HttpClient>(client_config(issuer.jwks_url, config));
    }
    sources_.push_back(std::move(source));
  }
  for (std::size_t i = 0; i < sources_.size(); ++i) {
    if (sources_[i].client == nullptr) keys_.set(i, load(sources_[i], {}));
  }
  if (!sources_.empty()) {
    thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
  }
}

web::KeySet OidcLoader::load(const Source& source, const std::stop_token& stop) const {
  if (source.client == nullptr) {
    return web::KeySet::parse(read_file(source.file, web::kKeySetMax), source.file.string());
  }
  const std::string url = mirror::to_text(source.client->config().endpoint);
  Text body;
  const auto response = source.client->get(
      {.url = source.client->config().endpoint, .range = {}, .body_max = web::kKeySetMax}, body,
      stop);
  if (response.status != 200) {
    fail(ErrorKind::Unavailable,
         url + ": expected status 200, found " + std::to_string(response.status));
  }
  return web::KeySet::parse(body.text(), url);
}

void OidcLoader::run(const std::stop_token& stop) {
  bool first = true;  // the files have been read
  do {
    for (std::size_t i = 0; i < sources_.size() && !stop.stop_requested(); ++i) {
      const Source& source = sources_[i];
      if (first && source.client == nullptr) continue;
      try {
        web::KeySet keys = load(source, stop);
        if (keys.empty()) fail(ErrorKind::Corrupt, "no key in it that we can use");
        keys_.set(i, std::move(keys));
      } catch (const std::exception& error) {
        spdlog::warn(R"(oidc_keys_kept issuer="{}" error="{}")", source.name, error.what());
      }
    }
    first = false;
    // Whoever asks has to wait a little: tokens with keys that nobody has are easily made.
  } while (keys_.rest(web::kKeySetPause, stop) && keys_.wait(kPeriod, stop));
}

}  // namespace holdfast::ops
