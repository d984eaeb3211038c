#include "ops/repair.h"

namespace holdfast::ops {

// The address is the one that the repository came from; what else an upstream needs, its
// configuration says.
JobRequest repair_request(const Json::Object& repair) {
  const auto text = [&](std::string_view key) { return repair.find(key)->as_string(key); };
  return {.kind = "sync",
          .key = "repair " + text("repo") + "@" + text("commit"),
          .parameters = {{"repo", text("repo")},
                         {"revision", text("commit")},
                         {"include", *repair.find("include")},
                         {"exclude", *repair.find("exclude")},
                         {"endpoint", text("endpoint")},
                         {"force", true}}};
}

std::size_t enqueue_repairs(storage::Store& store, const Json::Object& plan) {
  const Json::Array& repairs = plan.find("repairs")->as_array("repairs");
  for (const Json& repair : repairs) {
    JobRequest request = repair_request(repair.as_object("repairs"));
    store.jobs().enqueue(request.kind, request.key, std::move(request.parameters));
  }
  return repairs.size();
}

}  // namespace holdfast::ops
