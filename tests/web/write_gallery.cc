// Writes every page of ours, and the style that they share, for a browser to look at:
// write_gallery DIRECTORY. Prints the names of the pages.
#include <filesystem>
#include <iostream>

#include "storage/base/file.h"
#include "tests/web/asking.h"
#include "tests/web/gallery.h"
#include "web/static_files.h"

int main(int argc, char** argv) try {
  using namespace holdfast;
  if (argc != 2) {
    std::cerr << "usage: write_gallery DIRECTORY\n";
    return 64;
  }
  const std::filesystem::path directory = argv[1];
  const auto write = [&](const std::string& name, const std::string& text) {
    write_file_atomically(directory / name, as_bytes(text));
  };
  for (const tests::GalleryPage& page : tests::make_gallery()) {
    write(page.name + ".html", page.html);
    std::cout << page.name << "\n";
  }
  const std::string style(web::style_name());
  write(style, tests::body_of(tests::Asking().get("/-/static/" + style)));
  return 0;
} catch (const std::exception& error) {
  std::cerr << error.what() << "\n";
  return 2;
}
