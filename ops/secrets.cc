// Secrets that the configuration names by file (config.h).
#include <fmt/format.h>

#include "mirror/redirect_policy.h"
#include "mirror/url.h"
#include "ops/config.h"
#include "storage/base/error.h"
#include "storage/base/file.h"

namespace holdfast::ops {
namespace {

constexpr std::uint64_t kTokenMaxBytes = 4096;
constexpr char kHub[] = "https://huggingface.co";

// HF_TOKEN is the user's secret with one hub; another address must not see it.
bool owns_hub_token(const std::string& endpoint, const Environment& environment) {
  const mirror::Url address = mirror::parse_url(endpoint);
  return mirror::same_origin(address, mirror::parse_url(kHub)) ||
         mirror::same_origin(address, mirror::parse_url(environment("HF_ENDPOINT").value_or(kHub)));
}

}  // namespace

std::string read_secret(const std::filesystem::path& file) {
  std::string secret = read_file(file, kTokenMaxBytes);
  while (!secret.empty() && (secret.back() == '\n' || secret.back() == '\r')) secret.pop_back();
  if (secret.empty())
    fail(ErrorKind::Invalid, file.string() + ": expected a secret, found nothing");
  return secret;
}

std::string read_token(const UpstreamSettings& upstream, const Environment& environment) {
  std::string token;
  if (upstream.token_file.empty()) {
    if (owns_hub_token(upstream.endpoint, environment)) {
      token = environment("HF_TOKEN").value_or("");
    }
  } else {
    token = read_file(upstream.token_file, kTokenMaxBytes);
  }
  while (!token.empty() && (token.back() == '\n' || token.back() == '\r' || token.back() == ' ')) {
    token.pop_back();
  }
  for (const char c : token) {
    if (c <= ' ' || c > '~') {
      fail(ErrorKind::Invalid,
           fmt::format("{}: the token has a character that no header may carry",
                       upstream.token_file.empty() ? "HF_TOKEN" : upstream.token_file.string()));
    }
  }
  return token;
}

}  // namespace holdfast::ops
