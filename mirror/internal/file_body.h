// Bodies of answers: a text, and a part of a file that must be exactly what was asked for.
#pragma once

#include <string>

#include "mirror/http_client.h"
#include "mirror/upstream.h"

namespace holdfast::mirror {

// A hub that names the commit must name the file's: Corrupt otherwise. Whether it names it.
bool check_commit(const RemoteFile& file, const HttpResponse& head);

struct TextBody final : BodySink {
  std::string text;

  void begin(const HttpResponse&) override { text.clear(); }

  void write(std::span<const std::byte> bytes) override { text += as_text(bytes); }
};

// Survives any number of answers: each goes on where the one before broke off. One owner.
class FileBody final : public BodySink {
 public:
  // `sink` is borrowed.
  FileBody(const RemoteFile& file, storage::ByteRange range, const ByteSink& sink);

  // What to ask for now.
  HttpRequest next_request(const Url& url) const;

  // Throws Corrupt when the head promises other bytes than asked for (an error page, another
  // revision, another size), Unsupported when a part was asked for and everything is coming.
  void begin(const HttpResponse& head) override;
  void write(std::span<const std::byte> bytes) override;
  // Throws Unavailable when a body without a length ended early.
  void check_complete(const HttpResponse& response) const;

  std::uint64_t delivered_bytes() const noexcept { return delivered_; }

 private:
  bool whole() const noexcept { return range_.offset == 0 && range_.length == file_.size_bytes; }

  const RemoteFile& file_;
  storage::ByteRange range_;
  const ByteSink& sink_;
  std::uint64_t delivered_ = 0;
  std::uint64_t skip_ = 0;  // bytes that come again because a server ignores ranges
};

}  // namespace holdfast::mirror
