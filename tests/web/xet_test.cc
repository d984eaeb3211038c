#include "web/xet.h"

#include <doctest/doctest.h>

#include "web/limits.h"

namespace holdfast::web {
namespace {

constexpr Time kNow{std::chrono::seconds(1'700'000'000)};

XetGrant sample_grant() {
  return {.repo = storage::parse_repo_id("dataset/org/data"),
          .commit = git_object_id("commit", as_bytes("c")),
          .expires_at = kNow + std::chrono::minutes(1)};
}

XorbGrant sample_xorb() {
  return {.file = storage::xet::chunk_hash(as_bytes("f")),
          .xorb = 17,
          .expires_at = kNow + std::chrono::minutes(1)};
}

// Every text that differs from `text` in one character, or lacks its end.
std::vector<std::string> bent(const std::string& text) {
  std::vector<std::string> all;
  for (std::size_t i = 0; i < text.size(); ++i) {
    all.push_back(text.substr(0, i));
    std::string other = text;
    other[i] = other[i] == '7' ? '8' : '7';
    all.push_back(other);
  }
  return all;
}

}  // namespace

TEST_CASE("web/xet: modes have names, and sizes from which they offer files") {
  for (const XetMode mode : {XetMode::Off, XetMode::Large, XetMode::Always}) {
    CHECK(find_xet_mode(to_text(mode)) == mode);
  }
  CHECK_FALSE(find_xet_mode("on"));
  CHECK_FALSE(find_xet_mode(""));
  CHECK_FALSE(xet_size_bytes_min(XetMode::Off));
  CHECK(xet_size_bytes_min(XetMode::Large) == kXetLargeBytes);
  CHECK(xet_size_bytes_min(XetMode::Always) == 1);
}

TEST_CASE("web/xet: a token says what was signed, until it is too old") {
  const Xet xet(1);
  XetGrant grant = sample_grant();

  struct Case {
    const char* repo;
    XetBearer bearer;
  };

  for (const Case& c :
       {Case{"dataset/org/data", Digest{}}, Case{"model/org/tiny", sha256(as_bytes("hf_x"))},
        Case{"model/gpt2", std::monostate()},
        Case{"model/org/tiny", XetIdentity{"ann", storage::Right::None}},
        Case{"model/org/tiny", XetIdentity{std::string(64, '0'), storage::Right::Admin}}}) {
    grant.repo = storage::parse_repo_id(c.repo);
    grant.bearer = c.bearer;
    const std::string token = xet.sign(grant);
    CHECK(token.starts_with(kXetTokenPrefix));
    CHECK(token.size() <= kXetTokenMax);
    CHECK(xet.verify(token, kNow) == grant);
    CHECK(xet.verify(token, grant.expires_at) == grant);
    CHECK_FALSE(xet.verify(token, grant.expires_at + std::chrono::seconds(1)));
  }
}

TEST_CASE("web/xet: forged, foreign and broken tokens are nothing") {
  const Xet xet(1), other(1);
  const std::string token = xet.sign(sample_grant());
  CHECK_FALSE(other.verify(token, kNow));
  for (const std::string& text : bent(token)) {
    CAPTURE(text);
    CHECK_FALSE(xet.verify(text, kNow));
  }
  for (const std::string& text : {std::string(), std::string(kXetTokenPrefix), std::string("xet_."),
                                  "xet_." + std::string(64, '0'), token + "0", token + "." + token,
                                  std::string(kXetTokenPrefix) + std::string(kXetTokenMax, 'A')}) {
    CAPTURE(text);
    CHECK_FALSE(xet.verify(text, kNow));
  }
}

TEST_CASE("web/xet: an address of a xorb is good for it alone, until it is too old") {
  const Xet xet(1), other(1);
  const XorbGrant grant = sample_xorb();
  const std::string address = xet.sign(grant);
  const auto verify = [](const Xet& by, std::string_view text, Time now) {
    const auto mark = std::min(text.find('?'), text.size());
    return by.verify(text.substr(0, mark), text.substr(std::min(mark + 1, text.size())), now);
  };
  CHECK(verify(xet, address, kNow) == grant);
  CHECK_FALSE(verify(other, address, kNow));
  CHECK_FALSE(verify(xet, address, grant.expires_at + std::chrono::seconds(1)));
  for (const std::string& text : bent(address)) {
    CAPTURE(text);
    CHECK_FALSE(verify(xet, text, kNow));
  }
  // What was signed for one purpose is no good for the other.
  CHECK_FALSE(xet.verify(address, kNow));
  CHECK_FALSE(verify(xet, xet.sign(sample_grant()), kNow));
}

TEST_CASE("web/xet: what was signed under a secret is good wherever the secret is") {
  const Digest secret = sha256(as_bytes("kept")), foreign = sha256(as_bytes("another's"));
  const std::string token = Xet(1, secret).sign(sample_grant());
  CHECK(Xet(1, secret).verify(token, kNow) == sample_grant());
  CHECK_FALSE(Xet(1, foreign).verify(token, kNow));
}

TEST_CASE("web/xet: a revision is wished for once") {
  Xet xet(1);
  const XetGrant grant = sample_grant();
  CHECK(xet.is_first_wish(grant.repo, grant.commit));
  CHECK_FALSE(xet.is_first_wish(grant.repo, grant.commit));
  CHECK(xet.is_first_wish(grant.repo, GitOid{}));
  CHECK(xet.is_first_wish(storage::parse_repo_id("model/org/data"), grant.commit));
}

}  // namespace holdfast::web
