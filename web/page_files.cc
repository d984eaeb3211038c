// "/{repo}/tree/{rev}[/{dir}]" and "/{repo}/blob/{rev}/{path}": the files of a revision.
#include <algorithm>
#include <map>

#include "web/internal/answers.h"
#include "web/internal/media_type.h"
#include "web/internal/page.h"
#include "web/limits.h"

namespace holdfast::web {
namespace {

std::string_view wanted_revision(const Call& call) noexcept {
  return call.match.revision.empty() ? std::string_view("main") : call.match.revision;
}

// Paths of this revision's pages and files, encoded.
struct Places {
  std::string page;
  std::string revision;

  std::string of(std::string_view verb, std::string_view path) const {
    const std::string place = page + "/" + std::string(verb) + "/" + revision;
    return path.empty() ? place : place + "/" + percent_encode(path, true);
  }
};

Places places_of(const Call& call, const RevisionAt& at) {
  return {.page = page_path(call.services, at.id),
          .revision = percent_encode(wanted_revision(call))};
}

Html breadcrumbs(const Places& places, std::string_view root, std::string_view path) {
  Html html;
  html.add(R"(<nav class="crumbs" aria-label="Path"><a href=")", places.of("tree", ""), R"(">)",
           root, "</a>");
  for (std::size_t at = 0; at < path.size();) {
    const auto end = std::min(path.find('/', at), path.size());
    html.add("<span class=\"slash\">/</span>");
    if (end == path.size()) {
      html.add("<span>", path.substr(at), "</span>");
    } else {
      html.add("<a href=\"", places.of("tree", path.substr(0, end)), "\">",
               path.substr(at, end - at), "</a>");
    }
    at = end + 1;
  }
  return html.add("</nav>\n");
}

Html ref_switch(const Call& call, const RevisionAt& at, const Places& places) {
  constexpr std::string_view kHeads = "refs/heads/";
  constexpr std::string_view kTags = "refs/tags/";
  Html html;
  html.add(R"(<details class="refs"><summary aria-label="Branch or tag: )", wanted_revision(call),
           "\">", wanted_revision(call), "</summary><ul>");
  for (const auto& ref : call.services.store.catalog().refs(at.id)) {
    std::string name = ref.name;
    for (const std::string_view prefix : {kHeads, kTags}) {
      if (name.starts_with(prefix)) name.erase(0, prefix.size());
    }
    html.add("<li><a href=\"", places.page + "/tree/" + percent_encode(name), "\">", name, "</a>");
    if (ref.name.starts_with(kTags)) html.add(" ", chip("tag"));
    html.add("</li>");
  }
  return html.add("</ul></details>\n");
}

struct Directory {
  std::size_t files = 0;
  std::uint64_t size_bytes = 0;
};

struct Folder {
  std::map<std::string, Directory> directories;
  std::vector<storage::FileRecord> files;
};

Folder read_folder(const storage::Catalog& catalog, const RevisionAt& at, const std::string& path) {
  Folder folder;
  const std::size_t above = path.empty() ? 0 : path.size() + 1;
  for (auto& file : catalog.files(at.id, at.commit, path)) {
    const auto slash = file.path.find('/', above);
    if (slash == std::string::npos) {
      folder.files.push_back(std::move(file));
    } else {
      Directory& directory = folder.directories[file.path.substr(above, slash - above)];
      directory.files += 1;
      directory.size_bytes += file.object ? file.size_bytes : 0;
    }
  }
  return folder;
}

Html directory_row(const Places& places, const std::string& path, const std::string& name,
                   const Directory& directory) {
  Html row;
  return row.add(R"(<tr><td class="file dir"><a href=")",
                 places.of("tree", path.empty() ? name : path + "/" + name), "\">", name,
                 "/</a></td><td class=\"id\">", directory.files,
                 directory.files == 1 ? std::string_view(" file") : std::string_view(" files"),
                 "</td><td class=\"num\">", size_text(directory.size_bytes),
                 "</td><td></td></tr>\n");
}

Html file_row(const Places& places, const storage::FileRecord& file) {
  const std::string name = file.path.substr(file.path.rfind('/') + 1);
  Html row;
  if (!file.object) {
    return row.add(R"(<tr class="absent"><td class="file">)", name,
                   R"(</td><td class="id"></td><td class="num">)", size_text(file.size_bytes),
                   "</td><td class=\"get\">not mirrored</td></tr>\n");
  }
  const std::string sha256 = to_hex(*file.object);
  return row.add(R"(<tr><td class="file"><a href=")", places.of("blob", file.path), R"(">)", name,
                 R"(</a></td><td class="id"><code title="SHA-256 )", sha256, R"(">)",
                 sha256.substr(0, 10), "</code></td><td class=\"num\">", size_text(file.size_bytes),
                 R"(</td><td class="get"><a href=")", places.of("resolve", file.path),
                 "?download=true\" aria-label=\"Download ", name, "\">download</a></td></tr>\n");
}

Html folder_table(const Places& places, const std::string& path, const Folder& folder) {
  Html html;
  html.add(
      R"(<table class="files"><thead><tr><th scope="col">Name</th><th scope="col">SHA-256</th>)"
      R"(<th scope="col" class="num">Size</th><th scope="col"><span class="unseen">Download</span>)"
      "</th></tr></thead><tbody>\n");
  std::size_t rows = 0;
  for (const auto& [name, directory] : folder.directories) {
    if (++rows <= kFilesPageRows) html.add(directory_row(places, path, name, directory));
  }
  for (const auto& file : folder.files) {
    if (++rows <= kFilesPageRows) html.add(file_row(places, file));
  }
  html.add("</tbody></table>\n");
  if (rows > kFilesPageRows)
    html.add("<p class=\"quiet\">The first ", kFilesPageRows, " of ", rows, " are shown.</p>");
  return html;
}

Html metadata_html(const Json& fact) {
  Html html;
  const Json* metadata = fact.find("metadata");
  if (metadata == nullptr || !metadata->is_object() || metadata->as_object().empty()) return html;
  constexpr std::size_t kShownMax = 400;
  html.add(R"(<details open class="front"><summary>Metadata</summary><div class="scroll"><table>)");
  for (const auto& [key, value] : metadata->as_object()) {
    std::string text = value.is_string() ? value.as_string() : to_text(value);
    if (text.size() > kShownMax) text = text.substr(0, kShownMax) + " …";
    html.add("<tr><th scope=\"row\">", key, "</th><td><code>", text, "</code></td></tr>\n");
  }
  return html.add("</table></div></details>\n");
}

Html file_facts(const Call& call, const RevisionAt& at, const storage::FileRecord& file) {
  Html html;
  html.add("<dl class=\"line\"><div><dt>Size</dt><dd>", size_text(file.size_bytes), " (",
           file.size_bytes, " bytes)</dd></div>");
  const auto fact = call.services.store.catalog().find_fact(at.id, at.commit, "file/" + file.path);
  const Json* tensors = fact ? fact->find("tensors") : nullptr;
  const Json* total = fact ? fact->find_path({"parameters", "total"}) : nullptr;
  if (tensors != nullptr && tensors->is_integer()) {
    html.add("<div><dt>Tensors</dt><dd>", tensors->as_uint(), "</dd></div>");
  }
  if (total != nullptr && total->is_integer()) {
    html.add("<div><dt>Parameters</dt><dd>", count_text(total->as_uint()), "</dd></div>");
  }
  html.add("<div><dt>SHA-256</dt><dd><code>", to_hex(*file.object), "</code></dd></div></dl>\n");
  return fact ? html.add(metadata_html(*fact)) : html;
}

// The content as text with its bytes shown as they are; a byte that is no UTF-8 becomes "�" in the
// browser.
Html content_html(const Call& call, const Places& places, const storage::FileRecord& file) {
  Html html;
  if (is_image(file.path)) {
    return html.add(R"(<p class="picture"><img src=")", places.of("resolve", file.path),
                    "\" alt=\"", file.path, "\"></p>\n");
  }
  if (!is_text(file.path)) return html;
  if (file.size_bytes > kTextViewBytesMax) {
    return html.add("<p class=\"quiet\">Too long to show here.</p>\n");
  }
  const std::string text =
      storage::read_object(call.services.store.blobs(), *file.object, kTextViewBytesMax);
  return html.add("<pre class=\"text\">", text, "</pre>\n");
}

}  // namespace

Response tree_page(const Call& call) {
  const RevisionAt at = find_revision(call);
  const Folder folder = read_folder(call.services.store.catalog(), at, call.match.path);
  if (folder.directories.empty() && folder.files.empty() && !call.match.path.empty()) {
    refuse(404, "EntryNotFound", "There is no such directory in this revision");
  }
  const Places places = places_of(call, at);
  Html body;
  body.add(repository_head(call, at.id, wanted_revision(call), Tab::Files), "<div class=\"bar\">",
           ref_switch(call, at, places), breadcrumbs(places, at.id.name, call.match.path),
           "</div>\n", folder_table(places, call.match.path, folder));
  return page_response(call, {.title = at.id.full_name() + " files"}, body);
}

Response blob_page(const Call& call) {
  const RevisionAt at = find_revision(call);
  const auto file = call.services.store.catalog().find_file(at.id, at.commit, call.match.path);
  if (!file) refuse(404, "EntryNotFound", "There is no such file in this revision");
  if (!file->object)
    refuse(404, "EntryNotFound", "This file is outside the selection that was mirrored");
  const Places places = places_of(call, at);
  Html body;
  body.add(repository_head(call, at.id, wanted_revision(call), Tab::Files), "<div class=\"bar\">",
           breadcrumbs(places, at.id.name, file->path), R"(<a class="button" href=")",
           places.of("resolve", file->path), "?download=true\">Download</a></div>\n",
           file_facts(call, at, *file), content_html(call, places, *file));
  return page_response(call, {.title = file->path + " · " + at.id.full_name()}, body);
}

}  // namespace holdfast::web
