#include "web/json_web_token.h"

#include <doctest/doctest.h>

#include "storage/base/error.h"
#include "tests/storage/error_kind.h"
#include "tests/web/identity_provider.h"
#include "web/internal/keyed_hash.h"
#include "web/limits.h"

namespace holdfast::web {
namespace {

using tests::base64url;
using tests::IdentityProvider;
using tests::kind_of;
using tests::unsigned_token;

const IdentityProvider& provider() {
  static const IdentityProvider kProvider;
  return kProvider;
}

const Json::Object kClaims{{"iss", "https://id.example.org"}, {"sub", "42"}};

Signature check(const KeySet& keys, const std::string& text) {
  const auto token = parse_json_web_token(text);
  REQUIRE(token.has_value());
  return keys.check(*token);
}

KeySet keys_of(Json::Array keys) {
  return KeySet::parse(to_text(Json(Json::Object{{"keys", std::move(keys)}})), "test");
}

// With one member changed.
Json with(const Json& key, const char* name, Json value) {
  Json::Object changed = key.as_object();
  changed.set(name, std::move(value));
  return changed;
}

}  // namespace

TEST_CASE("web/json_web_token: what a provider signed is good, and nothing else is") {
  const KeySet keys = KeySet::parse(provider().jwks(), "test");
  const std::string rsa = provider().rs256(kClaims), ec = provider().es256(kClaims);
  CHECK(check(keys, rsa) == Signature::Good);
  CHECK(check(keys, ec) == Signature::Good);
  for (const std::string& good : {rsa, ec}) {
    const auto signature = good.rfind('.') + 1;
    // Every byte of the signature, and other claims under it.
    for (std::size_t at = signature; at + 1 < good.size(); at += 7) {
      std::string bent = good;
      bent[at] = bent[at] == 'A' ? 'B' : 'A';
      CHECK(check(keys, bent) == Signature::Bad);
    }
    Json::Object other = kClaims;
    other.set("sub", "1");
    const std::string header = good.substr(0, good.find('.'));
    CHECK(check(keys, header + "." + base64url(to_text(Json(other))) + "." +
                          good.substr(signature)) == Signature::Bad);
    CHECK(check(keys, good.substr(0, signature)) == Signature::Bad);
    CHECK(check(keys, good + "AAAA") == Signature::Bad);
  }
}

TEST_CASE("web/attack: a token chooses no algorithm and brings no key") {
  const KeySet keys = KeySet::parse(provider().jwks(), "test");
  const std::string modulus = provider().rsa_jwk().find("n")->as_string();
  const std::string good = provider().rs256(kClaims);
  for (const char* none : {"none", "None", "NONE", "", "RS512", "PS256", "HS256", "EdDSA"}) {
    CAPTURE(std::string(none));
    const Json::Object header{{"alg", none}, {"kid", "r"}};
    CHECK(check(keys, unsigned_token(kClaims, header) + ".") == Signature::Bad);
    CHECK(check(keys, provider().rs256(kClaims, header)) == Signature::Bad);
  }
  // The public key taken for the secret of an HMAC.
  const std::string content = unsigned_token(kClaims, {{"alg", "HS256"}, {"kid", "r"}});
  const Digest forged = keyed_hash(as_bytes(modulus.substr(0, 64)), content);
  CHECK(check(keys, content + "." +
                        base64url({reinterpret_cast<const char*>(forged.bytes.data()),
                                   forged.bytes.size()})) == Signature::Bad);
  // A key of one kind for the other's algorithm.
  CHECK(check(keys, provider().rs256(kClaims, {{"alg", "ES256"}, {"kid", "e"}})) == Signature::Bad);
  CHECK(check(keys, provider().rs256(kClaims, {{"alg", "RS256"}, {"kid", "e"}})) == Signature::Bad);
  // Keys that come with the token, or stand elsewhere, are nobody's.
  const IdentityProvider thief;
  for (const auto& [name, value] : {std::pair<const char*, Json>{"jwk", thief.rsa_jwk()},
                                    {"jku", "https://thief.example.org/keys"},
                                    {"x5c", Json::Array{"MIIB"}}}) {
    CAPTURE(std::string(name));
    const std::string text = thief.rs256(kClaims, {{"alg", "RS256"}, {"kid", "r"}, {name, value}});
    CHECK(check(keys, text) == Signature::Bad);
  }
  // Two zeros are a signature of everything for those who do not look.
  CHECK(check(keys, unsigned_token(kClaims, {{"alg", "ES256"}, {"kid", "e"}}) + "." +
                        base64url(std::string(64, '\0'))) == Signature::Bad);
}

TEST_CASE("web/json_web_token: which key a token means") {
  const std::string named = provider().rs256(kClaims);
  const std::string nameless = provider().rs256(kClaims, {{"alg", "RS256"}});
  CHECK(check(KeySet(), named) == Signature::UnknownKey);
  CHECK(check(KeySet(), nameless) == Signature::UnknownKey);
  const Json key = provider().rsa_jwk();
  CHECK(check(keys_of({with(key, "kid", "next")}), named) == Signature::UnknownKey);
  CHECK(check(keys_of({with(key, "kid", "next"), key}), named) == Signature::Good);
  CHECK(check(keys_of({with(key, "kid", "any")}), nameless) == Signature::Good);
  CHECK(check(keys_of({key, with(key, "kid", "next")}), nameless) == Signature::Bad);
}

TEST_CASE("web/attack: keys that are weak, broken or for something else are left out") {
  const Json rsa = provider().rsa_jwk(), ec = provider().ec_jwk();
  const std::string flipped = [&] {
    std::string y = ec.find("y")->as_string();
    y.front() = y.front() == 'A' ? 'B' : 'A';
    return y;
  }();
  for (const Json& bad : Json::Array{
           with(rsa, "kty", "oct"), with(rsa, "use", "enc"), with(rsa, "alg", "RS512"),
           with(rsa, "n", base64url("\xff" + std::string(126, 'x') + "\x01")), with(rsa, "e", "AQ"),
           with(rsa, "e", "Ag"), with(rsa, "e", base64url(std::string(200, '\x01'))),
           with(rsa, "n", base64url(std::string(3000, '\x01'))), with(rsa, "n", 7),
           with(rsa, "key_ops", Json::Array{"encrypt"}), with(ec, "crv", "P-384"),
           with(ec, "crv", "secp256k1"), with(ec, "y", flipped), with(ec, "x", ""),
           with(ec, "x", base64url(std::string(33, '\x01'))),
           with(with(ec, "x", base64url(std::string(32, '\0'))), "y",
                base64url(std::string(32, '\0'))),
           Json::Object{{"kty", "oct"}, {"k", "c2VjcmV0"}}, Json("key"), Json()}) {
    CAPTURE(to_text(bad));
    CHECK(keys_of({bad}).empty());
    CHECK_FALSE(keys_of({bad, rsa}).empty());
  }
  for (const char* text : {"", "{", "[]", "{}", R"({"keys":{}})", R"({"keys":7})"}) {
    CAPTURE(std::string(text));
    CHECK(kind_of([&] { KeySet::parse(text, "test"); }) == ErrorKind::Corrupt);
  }
}

TEST_CASE("web/json_web_token: texts that are no token, or one for something else") {
  const std::string good = provider().rs256(kClaims);
  CHECK(parse_json_web_token(good).has_value());
  const Json::Object plain{{"alg", "RS256"}, {"kid", "r"}};
  const auto with_header = [&](const char* name, Json value) {
    Json::Object header = plain;
    header.set(name, std::move(value));
    return provider().rs256(kClaims, header);
  };
  for (const std::string& bad :
       {std::string(), std::string("hf_abc"), std::string("eyJ"), std::string("eyJ.."),
        std::string("eyJhbGciOiJSUzI1NiJ9.W10.AAAA"), good + ".x", "x" + good, good + "=",
        good.substr(0, good.rfind('.')), with_header("crit", Json::Array{"exp"}),
        with_header("typ", "dpop+jwt"), with_header("typ", "logout+jwt"),
        "eyJ" + std::string(kJsonWebTokenMax, 'A') + ".e30.AAAA",
        base64url(R"({"alg":"RS256"})") + "." + base64url(std::string(2000, '[')) + ".AAAA"}) {
    CAPTURE(bad.substr(0, 60));
    CHECK_FALSE(parse_json_web_token(bad).has_value());
  }
}

}  // namespace holdfast::web
