#include "tests/web/fuzz_properties.h"

#include <algorithm>
#include <charconv>
#include <string>

#include "storage/base/deflate.h"
#include "storage/base/error.h"
#include "web/base64.h"
#include "web/card.h"
#include "web/git_attributes.h"
#include "web/git_ignore.h"
#include "web/git_push.h"
#include "web/git_request.h"
#include "web/handler.h"
#include "web/json_web_token.h"
#include "web/range.h"
#include "web/repo_path.h"
#include "web/routes.h"
#include "web/url.h"
#include "web/xet.h"

namespace holdfast::tests {
namespace {

// What the tokens among the seeds were signed for. Their private keys were thrown away.
constexpr std::string_view kProviderKeys =
    R"({"keys":[{"kty":"RSA","kid":"r","use":"sig","n":"q5tTEzaSfHuj-4PgRbXmhvK1pau_1IylwGB)"
    R"(GpVuVt3ojQpoX_upYLbbFZGXAEgjsY6lSbkNOq8SAvIO5qSsTi_JhbRWqGr-1W-6feT0Q6vF_ijKUrc-WQ7E)"
    R"(GhIafWqE1i60X4HTz9rvXnOX-8VuiPqA5W_bBkfjAz93GkBCNghMJQB-_dOYhbtDAMI2GK_-Jns-dj5-rdKE)"
    R"(ne82wfyez3BL1bQjc2BdxBy5N2PSH4B6_QlwiKe1IjZcmQ9xxpoAZtLPf1gox6m4YErxZNWMdUfnSv991nSE)"
    R"(SgKLFd2HaGgNCOvWP6t4anXH4lddoZE7AuGOrQgRyYY2I4N1uG8a2fQ","e":"AQAB"},{"kty":"EC","ki)"
    R"(d":"e","crv":"P-256","x":"UYUIyAcRCLA1i_6lD724jWeRZVuzIsf69J8Fxd92lvA","y":"tkc_JPPr)"
    R"(xfHWCIqwjIFXvRvAOwFmWFl9sNvS0ColwXk"}]})";

void require(bool holds) {
  if (!holds) __builtin_trap();
}

bool holds_part(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

// Every src="…" of the page points at this server.
bool images_stay_here(std::string_view html) {
  constexpr std::string_view kSource = " src=\"";
  for (auto at = html.find(kSource); at != std::string_view::npos; at = html.find(kSource, at)) {
    at += kSource.size();
    const std::string_view url = html.substr(at, html.find('"', at) - at);
    if (!url.starts_with('/') || url.starts_with("//")) return false;
  }
  return true;
}

}  // namespace

void check_range(std::string_view input) {
  const auto line_end = std::min(input.find('\n'), input.size());
  std::uint64_t size_bytes = 0;
  std::from_chars(input.data(), input.data() + line_end, size_bytes);
  const auto result =
      web::parse_range(input.substr(std::min(line_end + 1, input.size())), size_bytes);
  const auto& range = result.range;
  require(range.offset <= size_bytes && range.length <= size_bytes - range.offset);
  require((result.kind == web::RangeKind::Part) <= (range.length > 0));
  require((result.kind == web::RangeKind::Whole) <= (range.length == size_bytes));
  if (result.kind == web::RangeKind::Part) {
    require(web::content_range(range, size_bytes).starts_with("bytes "));
  }
}

void check_jwt(std::string_view input) {
  static const web::KeySet kKeys = web::KeySet::parse(kProviderKeys, "keys");
  if (const auto token = web::parse_json_web_token(input)) {
    require(token->claims.is_object() && token->content.size() < input.size());
    // Nobody has the private keys any more: what is good is what the seeds say.
    if (kKeys.check(*token) == web::Signature::Good) {
      require(token->claims.find("sub")->as_string() == "42");
      require(token->claims.find("exp")->as_uint() == 9'000'000'000);
    }
  }
  try {
    const auto keys = web::KeySet::parse(input, "keys");
  } catch (const Error&) {
  }
}

void check_names(std::string_view input) {
  if (web::problem_of_path(input).empty()) {
    require(!input.starts_with('/') && !input.ends_with('/'));
    for (std::string_view rest = input; !rest.empty();) {
      const auto end = std::min(rest.find('/'), rest.size());
      const std::string_view part = rest.substr(0, end);
      require(!part.empty() && part != "." && part != ".." && !web::same_name(part, ".git"));
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
  }
  if (web::is_ref_name(input)) require(!holds_part(input, "..") && !holds_part(input, "@{"));
  // Whatever stands before it, the last line decides.
  web::PatternSteps steps(1'000'000'000);
  require(web::GitAttributes(std::string(input) + "\n* filter=lfs\n").is_lfs("a/b", steps));
  require(!web::GitAttributes(std::string(input) + "\n* -filter\n").is_lfs("a/b", steps));
  require(web::GitIgnore(std::string(input) + "\n*\n").ignores("a", steps));
  require(!web::GitIgnore(std::string(input) + "\n!*\n").ignores("a", steps));
  // A pattern's own text, with all that means something taken for itself.
  std::string escaped;
  for (const char c : input) escaped.append("\\").push_back(c);
  require(web::GitPattern(escaped).fits(input, steps));
  if (const auto bytes = web::decode_base64(input)) {
    require(bytes->size() <= input.size());
    require(web::decode_base64(web::encode_base64(*bytes)) == bytes);
  }
}

void check_xet(std::string_view input) {
  static const web::Xet kXet(1);
  constexpr Time kNow{};
  require(!kXet.verify(input, kNow));
  const auto mark = std::min(input.find('?'), input.size());
  const auto query = input.substr(std::min(mark + 1, input.size()));
  require(!kXet.verify(input.substr(0, mark), query, kNow));
  if (const auto hash = storage::xet::parse_hash(input)) {
    require(storage::xet::parse_hash(to_text(*hash)) == hash);
  }
}

void check_target(std::string_view input) {
  for (const std::string_view method : {"GET", "HEAD", "POST", "DELETE"}) {
    const auto found = web::match(method, input);
    if (!found) continue;
    require(found->route != nullptr || !found->allow.empty());
    require(!holds_part(found->path, std::string_view("\0", 1)));
  }
  if (const auto decoded = web::percent_decode(input)) {
    require(web::percent_decode(web::percent_encode(*decoded)) == decoded);
  }
  if (const auto bytes = web::decode_base64(input)) {
    require(web::decode_base64(web::encode_base64(*bytes)) == bytes);
  }
  require(!web::problem_of_path(input).empty() || !holds_part(input, "//"));
  const web::GitAttributes own(std::string(input) + "\n" + web::GitAttributes::lfs_line("a/b"));
  web::PatternSteps steps(1'000'000'000);
  require(own.is_lfs("a/b", steps));
  const auto query = web::Parameters::parse(input);
  require(query.find("expand") != nullptr || query.all("expand").empty());
  if (const auto target = web::split_target(input)) {
    const bool clean = std::none_of(target->path.begin(), target->path.end(), [](char c) {
      return c == '\r' || c == '\n' || c == ' ' || c == '?';
    });
    require(clean);
  }
}

void check_card(std::string_view input) {
  const std::string html =
      web::render_card(web::without_front_matter(input), {.file_base = "/o/n/resolve/C/",
                                                          .page_base = "/o/n/blob/C/",
                                                          .directory_base = "/o/n/tree/C",
                                                          .repository = "o/n"});
  for (const std::string_view tag : {"<script", "<iframe", "<object", "<embed", "<style", "<link",
                                     "<meta", "<base", "<form", "<svg", "<video"}) {
    require(!holds_part(html, tag));
  }
  require(images_stay_here(html));
  require(!holds_part(html, "href=\"javascript:"));
}

void check_git_request(std::string_view input) {
  constexpr std::uint64_t kContentMax = std::uint64_t{1} * 1024 * 1024;
  try {
    require(inflate(input, kContentMax).size() <= kContentMax);
  } catch (const Error&) {
  }
  try {
    const web::GitCommand command = web::parse_git_command(input);
    require(command.fetch.has_value() != command.ls_refs.has_value());
  } catch (const Error&) {
  }
  try {
    const auto push = web::parse_push(input);
    require(!push || (push->bytes <= input.size() && push->commands.size() * 84 <= push->bytes));
  } catch (const Error&) {
  }
  try {
    const web::GitFetch fetch = web::parse_git_fetch_v0(input);
    require(fetch.pack.wants.size() * 40 <= input.size());
  } catch (const Error&) {
  }
}

}  // namespace holdfast::tests
