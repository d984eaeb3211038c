#include <algorithm>
#include <array>
#include <charconv>
#include <set>
#include <string>

#include "tests/web/fuzz_properties.h"
#include "tests/web/guarded.h"
#include "web/base64.h"
#include "web/browser_session.h"
#include "web/internal/file_answer.h"
#include "web/proxies.h"
#include "web/range.h"
#include "web/uploads.h"
#include "web/url.h"

namespace holdfast::tests {
namespace {

using web::Response;

// Nobody knows the text of the token that the cookie among the seeds names. All keys are zeros.
const web::BrowserSessions::Session kSession{.token = Digest{},
                                             .ends_at = Time(std::chrono::seconds(1'800'000'000))};
const web::UploadGrant kGrant{.repo = storage::parse_repo_id("me/fuzz"),
                              .object = Digest{},
                              .size_bytes = 100,
                              .part_bytes = 40,
                              .part = 2,
                              .expires_at = kSession.ends_at};

void require(bool holds) {
  if (!holds) __builtin_trap();
}

struct Hub : Guarded {
  Hub() : Guarded({.anonymous_read = false, .local = false, .session_key = web::SessionKey{}}) {
    book().add_token({.name = "laptop", .created_at = {}, .secret = kSession.token});
  }
};

Hub& hub() {
  static Hub hub;
  return hub;
}

Asking& open_hub() {
  static Asking hub;
  return hub;
}

std::string_view take_line(std::string_view& text) {
  const auto end = std::min(text.find('\n'), text.size());
  const auto line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return line;
}

void check_authorization(std::string_view text) {
  const std::string token = web::token_of(text);
  require(token.size() <= text.size());
  if (!token.empty() && !token.starts_with(' ') && !token.ends_with(' ')) {
    require(web::token_of("bEARER  " + token + " ") == token);
  }
  const std::string any(text);
  require(web::token_of("Basic " + web::encode_base64("user:" + any)) == any);
  // Whoever guesses is nobody.
  const std::array headers{web::Header{"Authorization", text}};
  require(!hub().access.identify({.headers = headers}).signed_in());
}

void check_cookie(std::string_view text) {
  static const web::BrowserSessions kSessions{web::SessionKey{}};
  const std::string& name = kSessions.cookie_name();
  const std::string_view value = web::session_in(text, name);
  require(value.find(';') == value.npos && text.find(value) != text.npos);
  const std::string ours = kSessions.sign(kSession);
  require(web::session_in(" " + name + "=" + ours + "; " + std::string(text), name) == ours);
  const auto session = kSessions.verify(value, hub().clock.now());
  if (session) require(web::same_name(value, ours));
  std::string bent = ours;
  if (!text.empty()) {
    bent[bent.size() - 1 - static_cast<unsigned char>(text.front()) % 64] = text.back();
    require(!kSessions.verify(bent, hub().clock.now()) || web::same_name(bent, ours));
  }
  require(!kSessions.verify(value, kSession.ends_at));
  const std::array headers{web::Header{"Cookie", text}};
  const web::Caller caller = hub().access.identify({.headers = headers});
  require(caller.signed_in() == session.has_value());
}

void check_forwarded(std::string_view text) {
  static const web::TrustedProxies kOurs({"10.0.0.0/8", "fd00::/8", "::ffff:192.168.0.0/112"});
  static const web::TrustedProxies kAll({"0.0.0.0/0", "::/0"});
  const std::string proxy = "10.0.0.1", other = "10.0.0.2", stranger = "192.0.2.7";
  // A stranger may write what he likes, alone or in front of what our proxy adds.
  require(kOurs.client_of(stranger, text) == stranger);
  const std::string before(text);
  require(kOurs.client_of(proxy, before + ", " + stranger) == stranger);
  require(kOurs.client_of(proxy, before + ",[2001:db8::1]:80") == "2001:db8::1");
  const std::string client = kOurs.client_of(proxy, text);
  require(kAll.trusts(client));
  // One more proxy of ours on the way changes nothing, but where the chain led to ours alone.
  const std::string further = kOurs.client_of(proxy, before + ", " + other);
  require(further == client || (client == proxy && further == other));
}

const std::string kBytes = "0123456789";
const std::string kEtag = "\"0123456789abcdef\"";

Response answer_with(const std::vector<web::Header>& headers) {
  static const auto kVersion = std::make_shared<const web::FileVersion>(
      web::FileVersion{.etag = kEtag, .commit = "c", .size_bytes = kBytes.size(), .headers = {}});
  return web::answer_text({.headers = headers}, kVersion, kBytes);
}

void check_if_none_match(std::string_view text) {
  const bool named = web::names_etag(text, kEtag);
  if (named) require(text.find(kEtag) != text.npos || text.find('*') != text.npos);
  const std::string more(text);
  require(web::names_etag(kEtag + "," + more, kEtag));
  require(web::names_etag("\"x\" , W/" + kEtag + more, kEtag));
  const Response answer = answer_with({{"If-None-Match", text}});
  require(answer.status == (named ? 304 : 200));
  require(body_of(answer) == (named ? "" : kBytes));
}

void check_if_range(std::string_view text) {
  const std::string_view if_range = take_line(text);
  const Response answer = answer_with({{"If-Range", if_range}, {"Range", text}});
  const bool same = if_range.empty() || if_range == kEtag;
  const auto asked = web::parse_range(same ? text : "", kBytes.size());
  const auto& range = asked.range;
  if (asked.kind == web::RangeKind::Unsatisfiable) {
    require(answer.status == 416 && answer.header("Content-Range") == "bytes */10");
    return;
  }
  const bool is_part = asked.kind == web::RangeKind::Part;
  require(answer.status == (is_part ? 206 : 200));
  require(body_of(answer) == kBytes.substr(range.offset, range.length));
  require(answer.header("Content-Range") ==
          (is_part ? web::content_range(range, kBytes.size()) : ""));
}

void check_upload_query(std::string_view text) {
  static const web::Uploads kUploads{Digest{}};
  const Time now = hub().clock.now();
  const auto verify = [&](std::string_view query) {
    return kUploads.verify(query, kGrant.repo, kGrant.object, now);
  };
  if (const auto grant = verify(text)) require(*grant == kGrant);
  // What is changed of ours is no longer ours, or says the same.
  std::string bent = kUploads.sign(kGrant);
  require(verify(bent) == kGrant);
  if (!text.empty()) {
    bent[static_cast<unsigned char>(text.front()) % bent.size()] = text.back();
    if (const auto grant = verify(bent)) require(*grant == kGrant);
  }
  require(!kUploads.verify(text, storage::parse_repo_id("me/other"), kGrant.object, now));
  require(!kUploads.verify(text, kGrant.repo, kGrant.object,
                           kGrant.expires_at + std::chrono::seconds(1)));
}

void check_accept(std::string_view text) {
  const Response answer =
      open_hub().ask({.target = "/v2/org/tiny/manifests/latest", .headers = {{"Accept", text}}});
  require(answer.status == 200);
  const std::string body = body_of(answer);
  const std::string digest = "sha256:" + to_hex(sha256(as_bytes(body)));
  require(answer.header("Docker-Content-Digest") == digest);
  const Json manifest = parse_json(body, "manifest");
  require(answer.header("Content-Type") == manifest.find("mediaType")->as_string());
  require(body_of(open_hub().get("/v2/org/tiny/manifests/" + digest)) == body);
}

// The rows of a list, page by page, as a client follows its links: it comes to an end, and no row
// comes twice. `rows_key` is "" where the page itself is the list.
void follow(const std::string& start, std::string_view rows_key, std::string_view id_key) {
  constexpr std::size_t kPagesMax = 20;
  constexpr std::string_view kHost = "http://127.0.0.1";
  std::set<std::string> seen;
  std::string target = start;
  for (std::size_t pages = 0; !target.empty(); ++pages) {
    require(pages < kPagesMax);
    const Response answer = open_hub().get(target);
    require(answer.status == 200 || (pages == 0 && answer.status >= 400 && answer.status < 500));
    const Json page = json_of(answer);
    if (answer.status != 200) return require(!page.find("error")->as_string().empty());
    for (const Json& row : (rows_key.empty() ? page : *page.find(rows_key)).as_array()) {
      require(seen.insert((id_key.empty() ? row : *row.find(id_key)).as_string()).second);
    }
    const std::string_view link = answer.header("Link");
    target = "";
    if (link.empty()) continue;
    require(link.starts_with("<" + std::string(kHost)) && link.ends_with(R"(>; rel="next")"));
    const auto end = link.find('>');
    require(link.find('<', 1) == link.npos && link.find('>', end + 1) == link.npos);
    target = link.substr(1 + kHost.size(), end - 1 - kHost.size());
  }
}

}  // namespace

void check_header(std::string_view input) {
  if (input.empty()) return;
  const std::string_view text = input.substr(1);
  switch (input.front()) {
    case 'A':
      return check_authorization(text);
    case 'C':
      return check_cookie(text);
    case 'F':
      return check_forwarded(text);
    case 'M':
      return check_if_none_match(text);
    case 'R':
      return check_if_range(text);
    case 'U':
      return check_upload_query(text);
    case 'O':
      return check_accept(text);
    case 'L':
      return follow("/api/models?" + std::string(text), "", "id");
    case 'T':
      return follow("/v2/org/tiny/tags/list?" + std::string(text), "tags", "");
    default:
      return;
  }
}

}  // namespace holdfast::tests
