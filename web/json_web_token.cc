#include "web/json_web_token.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

#include "storage/base/error.h"
#include "web/base64.h"
#include "web/handler.h"
#include "web/limits.h"

namespace holdfast::web {
namespace {

constexpr std::string_view kRsa = "RS256";
constexpr std::string_view kEc = "ES256";
constexpr int kRsaBitsMin = 2048;
constexpr int kRsaBitsMax = 8192;  // what one request may cost has an end
constexpr int kExponentBitsMax = 64;
constexpr std::size_t kNumberBytesMax = 2048;
constexpr std::size_t kCoordinateBytes = 32;  // of P-256

template <auto kFree>
struct Free {
  template <class T>
  void operator()(T* object) const {
    kFree(object);
  }
};

template <class T, auto kFree>
using Owned = std::unique_ptr<T, Free<kFree>>;
using Number = Owned<BIGNUM, BN_free>;
using PublicKey = Owned<EVP_PKEY, EVP_PKEY_free>;
using KeyContext = Owned<EVP_PKEY_CTX, EVP_PKEY_CTX_free>;
using Builder = Owned<OSSL_PARAM_BLD, OSSL_PARAM_BLD_free>;
using Params = Owned<OSSL_PARAM, OSSL_PARAM_free>;
using Digester = Owned<EVP_MD_CTX, EVP_MD_CTX_free>;
using EcSignature = Owned<ECDSA_SIG, ECDSA_SIG_free>;

// Base64 as RFC 7515 writes it: another alphabet, and never padded.
std::optional<std::string> decode_base64url(std::string_view text) {
  if (text.find_first_of("+/=") != std::string_view::npos) return std::nullopt;
  std::string plain(text);
  std::ranges::replace(plain, '-', '+');
  std::ranges::replace(plain, '_', '/');
  return decode_base64(plain);
}

const unsigned char* bytes_of(std::string_view text) noexcept {
  return reinterpret_cast<const unsigned char*>(text.data());
}

// A member that is text; "" when it is not there, or something else.
std::string_view text_of(const Json& json, std::string_view key) noexcept {
  const Json* member = json.find(key);
  return member != nullptr && member->is_string() ? std::string_view(member->as_string())
                                                  : std::string_view();
}

std::optional<std::string> bytes_member(const Json& key, std::string_view name) {
  auto bytes = decode_base64url(text_of(key, name));
  if (!bytes || bytes->empty() || bytes->size() > kNumberBytesMax) return std::nullopt;
  return bytes;
}

PublicKey key_from(const char* type, OSSL_PARAM_BLD* builder) {
  const Params params(OSSL_PARAM_BLD_to_param(builder));
  const KeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
  EVP_PKEY* key = nullptr;
  if (!params || !context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, params.get()) != 1) {
    return nullptr;
  }
  return PublicKey(key);
}

PublicKey read_rsa(const Json& json) {
  const auto modulus = bytes_member(json, "n"), exponent = bytes_member(json, "e");
  if (!modulus || !exponent) return nullptr;
  const auto number = [](const std::string& bytes) {
    return Number(BN_bin2bn(bytes_of(bytes), static_cast<int>(bytes.size()), nullptr));
  };
  const Number n = number(*modulus), e = number(*exponent);
  const int bits = BN_num_bits(n.get()), exponent_bits = BN_num_bits(e.get());
  if (bits < kRsaBitsMin || bits > kRsaBitsMax || exponent_bits < 2 ||
      exponent_bits > kExponentBitsMax || BN_is_odd(e.get()) == 0 || BN_is_odd(n.get()) == 0) {
    return nullptr;
  }
  const Builder builder(OSSL_PARAM_BLD_new());
  OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get());
  OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, e.get());
  return key_from("RSA", builder.get());
}

PublicKey read_ec(const Json& json) {
  const auto x = bytes_member(json, "x"), y = bytes_member(json, "y");
  if (text_of(json, "crv") != "P-256" || !x || !y) return nullptr;
  if (x->size() != kCoordinateBytes || y->size() != kCoordinateBytes) return nullptr;
  const std::string point = "\x04" + *x + *y;  // SEC 1, 2.3.3: not compressed
  const Builder builder(OSSL_PARAM_BLD_new());
  OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0);
  OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(),
                                   point.size());
  PublicKey key = key_from("EC", builder.get());
  const KeyContext context(key ? EVP_PKEY_CTX_new(key.get(), nullptr) : nullptr);
  if (!context || EVP_PKEY_public_check(context.get()) != 1) return nullptr;
  return key;
}

// What a kind of key signs with, and how it is read.
struct Kind {
  std::string_view type;  // "kty"
  std::string_view algorithm;
  PublicKey (*read)(const Json& json);
};

constexpr std::array kKinds{Kind{"RSA", kRsa, read_rsa}, Kind{"EC", kEc, read_ec}};

struct Key {
  std::string id;
  std::string_view algorithm;
  PublicKey key;
};

bool is_for_signatures(const Json& json, std::string_view algorithm) {
  const std::string_view use = text_of(json, "use"), only = text_of(json, "alg");
  if ((!use.empty() && use != "sig") || (!only.empty() && only != algorithm)) return false;
  const Json* operations = json.find("key_ops");
  if (operations == nullptr) return true;
  return operations->is_array() &&
         std::ranges::find(operations->as_array(), Json("verify")) != operations->as_array().end();
}

std::optional<Key> read_key(const Json& json) {
  const auto kind = std::ranges::find(kKinds, text_of(json, "kty"), &Kind::type);
  if (kind == kKinds.end() || !is_for_signatures(json, kind->algorithm)) return std::nullopt;
  PublicKey key = kind->read(json);
  // Whatever OpenSSL thinks of a key that is none is not the next caller's error.
  ERR_clear_error();
  if (!key) return std::nullopt;
  return Key{
      .id = std::string(text_of(json, "kid")), .algorithm = kind->algorithm, .key = std::move(key)};
}

// JWS has the two numbers side by side (RFC 7518, 3.4), OpenSSL takes them in DER.
std::string to_der(std::string_view pair) {
  if (pair.size() != 2 * kCoordinateBytes) return {};
  const EcSignature signature(ECDSA_SIG_new());
  constexpr int kHalf = kCoordinateBytes;
  BIGNUM* r = BN_bin2bn(bytes_of(pair), kHalf, nullptr);
  BIGNUM* s = BN_bin2bn(bytes_of(pair.substr(kCoordinateBytes)), kHalf, nullptr);
  if (ECDSA_SIG_set0(signature.get(), r, s) != 1) {
    BN_free(r);
    BN_free(s);
    return {};
  }
  unsigned char* der = nullptr;
  const int size = i2d_ECDSA_SIG(signature.get(), &der);
  if (size <= 0) return {};
  std::string text(reinterpret_cast<const char*>(der), static_cast<std::size_t>(size));
  OPENSSL_free(der);
  return text;
}

bool verifies(const Key& key, const JsonWebToken& token) {
  const std::string signature = key.algorithm == kEc ? to_der(token.signature) : token.signature;
  const Digester digester(EVP_MD_CTX_new());
  const bool good =
      !signature.empty() &&
      EVP_DigestVerifyInit(digester.get(), nullptr, EVP_sha256(), nullptr, key.key.get()) == 1 &&
      EVP_DigestVerify(digester.get(), bytes_of(signature), signature.size(),
                       bytes_of(token.content), token.content.size()) == 1;
  ERR_clear_error();
  return good;
}

std::optional<Json> parse_part(std::string_view encoded) {
  const auto text = decode_base64url(encoded);
  if (!text) return std::nullopt;
  try {
    Json json = parse_json(*text, "token", kJsonWebTokenMax);
    if (json.is_object()) return json;
  } catch (const Error&) {  // a token that cannot be read is no token
  }
  return std::nullopt;
}

// "at+jwt" is an access token by RFC 9068.
bool is_access_token(std::string_view type) noexcept {
  return type.empty() || same_name(type, "JWT") || same_name(type, "at+jwt") ||
         same_name(type, "application/at+jwt");
}

}  // namespace

struct KeySet::Keys {
  std::vector<Key> all;
};

bool resembles_json_web_token(std::string_view text) noexcept {
  // The start of every JSON object in Base64.
  return text.starts_with("eyJ") && std::ranges::count(text, '.') == 2;
}

std::optional<JsonWebToken> parse_json_web_token(std::string_view text) {
  if (text.size() > kJsonWebTokenMax || !resembles_json_web_token(text)) return std::nullopt;
  const auto first = text.find('.'), second = text.rfind('.');
  const auto header = parse_part(text.substr(0, first));
  auto claims = header ? parse_part(text.substr(first + 1, second - first - 1)) : std::nullopt;
  auto signature = claims ? decode_base64url(text.substr(second + 1)) : std::nullopt;
  if (!signature) return std::nullopt;
  const bool extended = header->find("crit") != nullptr;  // RFC 7515, 4.1.11: we know none of them
  if (extended || !is_access_token(text_of(*header, "typ"))) return std::nullopt;
  return JsonWebToken{.algorithm = std::string(text_of(*header, "alg")),
                      .key_id = std::string(text_of(*header, "kid")),
                      .claims = *std::move(claims),
                      .content = std::string(text.substr(0, second)),
                      .signature = *std::move(signature)};
}

KeySet KeySet::parse(std::string_view text, std::string_view name) {
  const Json json = parse_json(text, name, kKeySetMax);
  const Json* list = json.find("keys");
  if (list == nullptr) fail(ErrorKind::Corrupt, std::string(name) + ": keys: expected a list");
  auto keys = std::make_shared<Keys>();
  for (const Json& one : list->as_array(std::string(name) + ": keys")) {
    if (auto key = read_key(one)) keys->all.push_back(*std::move(key));
  }
  KeySet set;
  if (!keys->all.empty()) set.keys_ = std::move(keys);
  return set;
}

Signature KeySet::check(const JsonWebToken& token) const {
  if (std::ranges::find(kKinds, token.algorithm, &Kind::algorithm) == kKinds.end()) {
    return Signature::Bad;
  }
  std::vector<const Key*> fitting;
  bool known = false;
  if (keys_ != nullptr) {
    for (const Key& key : keys_->all) {
      if (!token.key_id.empty() && key.id != token.key_id) continue;
      known = known || !token.key_id.empty();
      if (key.algorithm == token.algorithm) fitting.push_back(&key);
    }
  }
  // A known key of another algorithm makes no token better.
  if (fitting.empty()) return known ? Signature::Bad : Signature::UnknownKey;
  if (token.key_id.empty() && fitting.size() > 1) return Signature::Bad;
  const bool good =
      std::ranges::any_of(fitting, [&](const Key* key) { return verifies(*key, token); });
  return good ? Signature::Good : Signature::Bad;
}

}  // namespace holdfast::web
