// The frame around every page: head, navigation, style, security headers. Pages work without
// JavaScript and load nothing but /-/static/.
#pragma once

#include <string>
#include <string_view>

#include "storage/base/clock.h"
#include "storage/catalog.h"
#include "web/internal/handlers.h"
#include "web/internal/html.h"

namespace holdfast::web {

enum class Section { Catalog, Mirrors, Jobs, None };

struct PageOptions {
  std::string title;
  Section section = Section::Catalog;
  int status = 200;
  std::string_view cache = "private, no-cache";  // Cache-Control
};

Response page_response(const Call& call, const PageOptions& options, const Html& body);

Response error_page(const Call& call, int status, std::string_view message);

// The page of a refusal, for who walked into it with a browser; it stays the refusal that it is,
// with its codes. One that ends where he signs in is the form for that, which leads back here.
Response page_of_refusal(const Call& call, Response refusal);

struct SignIn {
  std::string_view next = "/";  // where it leads, as local_path() takes it
  std::string_view notice;      // why it is asked for
};

Html sign_in_html(const Call& call, const SignIn& sign_in);

// "/-/static/style.<hash>.css" with the base path.
std::string style_path(const Services& services);

// "3 Jan 2026", with the exact time as a tooltip.
Html time_html(Time time);

// A small label. `kind` is a CSS class of style.css, "" for the plain one.
Html chip(std::string_view text, std::string_view kind = "");

// "owner / name" as a heading, and the tabs of a repository's pages.
enum class Tab { Card, Files };
Html repository_head(const Call& call, const storage::RepoId& id, std::string_view revision,
                     Tab tab);

}  // namespace holdfast::web
