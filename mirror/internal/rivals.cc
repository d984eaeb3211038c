#include "mirror/internal/rivals.h"

#include <utility>

namespace holdfast::mirror {

Rivals::Rivals(std::vector<Rival> rivals, std::function<void(const std::string& name)> asked)
    : rivals_(std::move(rivals)), asked_(std::move(asked)) {
  upstreams_.lock()->resize(rivals_.size());
}

Upstream& Rivals::at(std::size_t rival) {
  Upstream* upstream = nullptr;
  {
    auto upstreams = upstreams_.lock();
    std::unique_ptr<Upstream>& own = upstreams->at(rival);
    if (own) return *own;
    own = rivals_[rival].connect();  // makes no request yet
    upstream = own.get();
  }
  asked_(rivals_[rival].name);
  return *upstream;
}

std::optional<std::size_t> Rivals::leader() { return *leader_.lock(); }

void Rivals::won(std::optional<std::size_t> rival) { *leader_.lock() = rival; }

std::uint64_t Rivals::requests() {
  std::uint64_t sum = 0;
  auto upstreams = upstreams_.lock();
  for (const auto& upstream : *upstreams) sum += upstream ? upstream->requests() : 0;
  return sum;
}

Json::Array Rivals::evidence() {
  Json::Array out;
  auto upstreams = upstreams_.lock();
  for (const auto& upstream : *upstreams) {
    if (!upstream) continue;
    Json::Object said = upstream->evidence();
    const Json* const files = said.find("files");
    if (files != nullptr && !files->as_array("files").empty()) out.emplace_back(std::move(said));
  }
  return out;
}

void Rivals::start_evidence(bool same_repository) {
  auto upstreams = upstreams_.lock();
  for (const auto& upstream : *upstreams) {
    if (upstream) upstream->start_evidence(same_repository);
  }
}

}  // namespace holdfast::mirror
