// "/{repo}": the card of a repository, its facts, and how to use it.
#include <algorithm>

#include "web/card.h"
#include "web/internal/answers.h"
#include "web/internal/gate.h"
#include "web/internal/gate_html.h"
#include "web/internal/listing.h"
#include "web/internal/page.h"
#include "web/internal/repository_facts.h"
#include "web/limits.h"

namespace holdfast::web {
namespace {

using storage::RepoKind;

// What the page is made of, read once.
struct Shown {
  RepositoryFacts facts;
  std::vector<storage::FileRecord> files;  // stored ones
  std::string branch;
  std::size_t unselected = 0;

  const storage::RepoId& id() const { return facts.repository.id; }
};

Shown read_shown(const Call& call) {
  const auto& catalog = call.services.store.catalog();
  Shown shown{.facts = read_facts(catalog, find_repository(call), std::nullopt)};
  shown.branch = shown.facts.repository.default_branch;
  if (!shown.facts.revision) return shown;
  shown.files = catalog.files(shown.id(), shown.facts.revision->commit, "");
  shown.unselected = std::erase_if(shown.files, [](const auto& file) { return !file.object; });
  return shown;
}

std::string commit_of(const Shown& shown) { return to_hex(shown.facts.revision->commit); }

Html card_html(const Call& call, const Shown& shown) {
  Html html;
  const auto readme =
      std::ranges::find_if(shown.files, [](const auto& file) { return file.path == "README.md"; });
  if (readme == shown.files.end() || readme->size_bytes > kCardBytesMax) {
    return html.add("<p class=\"quiet\">This repository has no card.</p>");
  }
  const std::string text =
      storage::read_object(call.services.store.blobs(), *readme->object, kCardBytesMax);
  const std::string page = page_path(call.services, shown.id());
  const CardLinks links = links_at(page, commit_of(shown), shown.id().full_name());
  return Html::trusted(render_card(without_front_matter(text), links));
}

Html value_html(const Json& value) {
  Html html;
  if (value.is_string()) return html.add(value.as_string());
  if (!value.is_array()) return html.add("<code>", to_text(value), "</code>");
  for (const Json& item : value.as_array()) {
    html.add(item.is_string() ? chip(item.as_string()) : value_html(item), " ");
  }
  return html;
}

Html front_matter_html(const Shown& shown) {
  Html html;
  const Json data = shown.facts.card_data();
  if (!data.is_object() || data.as_object().empty()) return html;
  html.add(R"(<details class="front"><summary>Card data</summary><div class="scroll"><table>)");
  for (const auto& [key, value] : data.as_object()) {
    html.add("<tr><th scope=\"row\">", key, "</th><td>", value_html(value), "</td></tr>\n");
  }
  return html.add("</table></div></details>\n");
}

Html fact(std::string_view name, const Html& value) {
  Html html;
  return html.add("<div><dt>", name, "</dt><dd>", value, "</dd></div>\n");
}

Html text_fact(std::string_view name, std::string_view value) {
  Html html;
  return value.empty() ? html : fact(name, html.add(value));
}

// The share of each data type as a row of bars.
Html dtype_html(const Json& by_dtype, std::uint64_t total) {
  Html html;
  for (const auto& [name, count] : by_dtype.as_object()) {
    if (!count.is_integer()) continue;
    html.add("<span class=\"dtype\"><span>", name, "</span><meter aria-label=\"", name, "\" max=\"",
             total, "\" value=\"", count.as_uint(), R"("></meter><span class="num">)",
             count_text(count.as_uint()), "</span></span>");
  }
  return html;
}

Html base_models_html(const Call& call, const Json& value) {
  const Json::Array names = value.is_array() ? value.as_array() : Json::Array{value};
  Html html;
  for (const Json& name : names) {
    if (!name.is_string()) continue;
    const auto id = storage::find_repo_id(RepoKind::Model, name.as_string());
    if (id && may_see(call, *id) && call.services.store.catalog().find_repository(*id)) {
      html.add("<a href=\"", page_path(call.services, *id), "\">", name.as_string(), "</a> ");
    } else {
      html.add(name.as_string(), " ");
    }
  }
  return html;
}

Html revision_facts(const Shown& shown) {
  const auto& revision = *shown.facts.revision;
  std::uint64_t total = 0;
  for (const auto& file : shown.files) total += file.size_bytes;
  std::string files = std::to_string(shown.files.size()) + " (" + size_text(total) + ")";
  if (shown.unselected > 0) files += ", " + std::to_string(shown.unselected) + " not mirrored";
  const std::string commit = commit_of(shown);
  Html commit_html;
  commit_html.add("<code title=\"", commit, "\">", commit.substr(0, 12), "</code> on ",
                  shown.branch);
  Html html;
  return html.add(text_fact("Files", files), fact("Commit", commit_html),
                  fact("Committed", time_html(revision.time)),
                  fact("Stored here", time_html(revision.stored_at)));
}

Html facts_html(const Call& call, const Shown& shown) {
  const auto& facts = shown.facts;
  Html list;
  list.add("<section class=\"box\"><h2>Facts</h2><dl>\n");
  const auto total = facts.parameters_total();
  if (total > 0) list.add(text_fact("Parameters", count_text(total)));
  const Json* by_dtype = facts.card.find_path({"parameters", "by_dtype"});
  if (by_dtype != nullptr && by_dtype->is_object()) {
    list.add(fact("Data types", dtype_html(*by_dtype, total)));
  }
  list.add(text_fact("Licence", facts.licence()));
  if (const Json* base = facts.card.find("base_model")) {
    const Html models = base_models_html(call, *base);
    if (!models.empty()) list.add(fact("Base model", models));
  }
  if (facts.revision) list.add(revision_facts(shown));
  list.add(text_fact("Origin", facts.repository.origin));
  return list.add("</dl></section>\n");
}

Html recipe(std::string_view name, const Html& code, bool open) {
  Html html;
  html.add("<details name=\"use\"");
  if (open) html.add(" open");
  return html.add("><summary>", name, "</summary><pre><code>", code, "</code></pre></details>\n");
}

const storage::FileRecord* find_gguf(const Shown& shown) {
  const auto found = std::ranges::find_if(
      shown.files, [](const auto& file) { return file.path.ends_with(".gguf"); });
  return found == shown.files.end() ? nullptr : &*found;
}

// The part of "name.Q4_0.gguf" that llama.cpp takes as a tag; empty when there is none.
std::string quant_tag(std::string_view path) {
  path.remove_suffix(std::string_view(".gguf").size());
  const auto at = path.find_last_of(".-");
  return at == std::string_view::npos ? "" : ":" + std::string(path.substr(at + 1));
}

Html use_html(const Call& call, const Shown& shown) {
  const std::string base = base_url(call);
  const std::string name = shown.id().full_name();
  const bool dataset = shown.id().kind == RepoKind::Dataset;
  const auto* gguf = find_gguf(shown);
  Html llama, python, curl;
  if (gguf != nullptr) {
    llama.add("HF_ENDPOINT=", base, " \\\n  llama-cli -hf ", name, quant_tag(gguf->path));
  }
  python.add("import os\nos.environ[\"HF_ENDPOINT\"] = \"", base,
             "\"\nfrom huggingface_hub import snapshot_download\npath = snapshot_download(\"", name,
             "\"");
  if (dataset) python.add(", repo_type=\"dataset\"");
  python.add(")");
  const std::string file = gguf != nullptr       ? gguf->path
                           : shown.files.empty() ? "README.md"
                                                 : shown.files.front().path;
  curl.add("curl -O ", base, dataset ? std::string_view("/datasets/") : std::string_view("/"), name,
           "/resolve/", shown.branch, "/", percent_encode(file, true));
  Html html;
  html.add("<section class=\"box\"><h2>Use it</h2>\n");
  if (gguf != nullptr) html.add(recipe("llama.cpp", llama, true));
  return html.add(recipe("Python", python, gguf == nullptr), recipe("curl", curl, false),
                  "</section>\n");
}

// A label that leads to the catalog's list of all that have it.
Html list_chip(const Call& call, std::string_view filter, const std::string& value) {
  Html html;
  if (value.empty()) return html;
  return html.add(R"(<a class="chip" href=")", base_path(call.services), "/?", filter, "=",
                  percent_encode(value), "\">", value, "</a>");
}

Html chips_html(const Call& call, const Shown& shown) {
  const auto text = [&](std::string_view key) {
    const Json value = shown.facts.text(key);
    return value.is_string() ? value.as_string() : std::string();
  };
  Html html;
  html.add("<p class=\"chips\">", list_chip(call, "task", text("pipeline_tag")),
           list_chip(call, "library", text("library_name")));
  for (const auto& format : shown.facts.formats()) html.add(chip(format, "format"));
  html.add(list_chip(call, "license", shown.facts.licence()));
  if (is_private(call, shown.id())) html.add(chip("private", "warn"));
  if (!gate_text(call, shown.facts.repository).empty()) html.add(chip("gated", "warn"));
  return html.add("</p>\n");
}

}  // namespace

Response model_page(const Call& call) {
  const Shown shown = read_shown(call);
  Html body;
  body.add(repository_head(call, shown.id(), shown.branch, Tab::Card), chips_html(call, shown),
           "<div class=\"columns\"><aside>\n", gate_html(call, shown.facts), use_html(call, shown),
           facts_html(call, shown), "</aside><article class=\"card\">\n", front_matter_html(shown));
  if (shown.facts.revision) body.add(card_html(call, shown));
  body.add("</article></div>\n");
  return page_response(call, {.title = shown.id().full_name()}, body);
}

}  // namespace holdfast::web
