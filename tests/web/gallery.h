// Every page of ours once, in the states that people meet: with nothing on it, with much, with
// texts that are too long, and where something went wrong. What tests ask of all pages they ask of
// these; gallery.cc's program writes them out for a real browser.
#pragma once

#include <string>
#include <vector>

namespace holdfast::tests {

struct GalleryPage {
  std::string name;  // of a file: "jobs-failed"
  int status = 200;
  std::string html;
};

std::vector<GalleryPage> make_gallery();

}  // namespace holdfast::tests
