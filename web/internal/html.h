// HTML put together so that nothing foreign gets in unescaped: string literals are markup, every
// other text is content and is escaped. Plain value.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace holdfast::web {

class Html {
 public:
  // add("<b>", name, "</b>"): literals as they stand, strings escaped, numbers as digits, Html as
  // is.
  template <class... Parts>
  Html& add(const Parts&... parts) {
    (put(parts), ...);
    return *this;
  }

  const std::string& text() const noexcept { return text_; }

  bool empty() const noexcept { return text_.empty(); }

  // Markup that another renderer has made safe already.
  static Html trusted(std::string markup) {
    Html html;
    html.text_ = std::move(markup);
    return html;
  }

 private:
  template <std::size_t N>
  void put(const char (&literal)[N]) {
    text_.append(literal, N - 1);
  }

  void put(std::string_view content);

  void put(const Html& markup) { text_ += markup.text_; }

  void put(std::uint64_t number) { text_ += std::to_string(number); }

  std::string text_;
};

// "1.2 GB", "812 B": powers of 1000, three digits at most.
std::string size_text(std::uint64_t size_bytes);

// "7.2 B", "494 M": a count of parameters.
std::string count_text(std::uint64_t count);

}  // namespace holdfast::web
