// Forms of our pages, and what guards them: a browser sends its cookie by itself, whoever made it
// ask. A change that is asked for by a session (browser_session.h) needs the key that only our
// pages show, in a form that comes from this site. Thread-safe; throws a Refusal.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "web/internal/handlers.h"
#include "web/internal/html.h"

namespace holdfast::web {

// A page of another site made the browser ask.
bool is_of_other_site(const Request& request) noexcept;

// 403 unless the request comes from a page of ours, or not from a page at all.
void check_form_origin(const Call& call);

// 403 unless a request that changes something, and that a session asks for, is a form with its key.
// All others pass.
void check_form(const Call& call);

// Fields of a form without the key: what people said in it.
Parameters without_form_key(const Parameters& fields);

// Those of the request's body. 400 for a body that is no form.
Parameters form_fields(const Call& call);

// A field of a form or a query, "" when it is absent.
std::string field(const Parameters& fields, std::string_view name);

// The number that a text is; nothing when it is none.
std::optional<std::uint64_t> number_of(std::string_view text) noexcept;

// The field with the key, for each form that changes something; nothing for who has no session.
Html form_key_field(const Call& call);

// "<form method="post" …>" with the key. `path` is ours, without the base path; `style` a class of
// style.css.
Html form_start(const Call& call, std::string_view path, std::string_view style = "");

// A path of ours that a browser may be led to: `next` if it is one, else "/". Neither it nor the
// answer has the base path.
std::string local_path(std::string_view next);

// 303 to a path of ours, without the base path.
Response see_other(const Call& call, std::string_view path);

// The path of the page to sign in, which leads back to this one.
std::string sign_in_path(const Call& call);

}  // namespace holdfast::web
