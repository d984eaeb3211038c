#include "convert/tokenizers/post_processor.h"

#include <algorithm>
#include <optional>
#include <span>
#include <utility>

namespace holdfast::convert {

namespace {

constexpr std::string_view kWhere = "tokenizer.json: post_processor";

// Null, "", {}, [] and false count as "not set", as in the Python that these files are written for.
bool is_set(const Json& value) {
  if (value.is_null()) return false;
  if (value.is_bool()) return value.as_bool();
  if (value.is_string()) return !value.as_string().empty();
  if (value.is_array()) return !value.as_array().empty();
  if (value.is_object()) return !value.as_object().empty();
  return true;
}

Json setting(const Json::Object& settings, std::string_view key) {
  const Json* value = settings.find(key);
  return value == nullptr ? Json() : *value;
}

// The token of one element of a template, null for anything else.
Json special_id(const Json& element) {
  const Json* id = element.find_path({"SpecialToken", "id"});
  return id == nullptr ? Json() : *id;
}

bool is_sequence(const Json& element, std::string_view id) {
  const Json* found = element.find_path({"Sequence", "id"});
  return found != nullptr && found->is_string() && found->as_string() == id;
}

std::span<const Json> elements(const Json& processor, std::string_view key) {
  const Json* list = processor.find(key);
  if (list == nullptr) return {};
  return list->as_array(std::string(kWhere) + "." + std::string(key));
}

// The special tokens as they stand while the processors are applied one after the other.
class Roles {
 public:
  Roles(Json::Object& settings, std::vector<std::string>& types, SpecialTokens& special)
      : settings_(settings),
        types_(types),
        special_(special),
        configured_(!settings.empty()),
        bos_(setting(settings, "bos_token")),
        eos_(setting(settings, "eos_token")),
        cls_(setting(settings, "cls_token")),
        sep_(setting(settings, "sep_token")) {
    if (!is_set(bos_) && is_set(cls_)) configure("bos_token", bos_ = cls_);
    if (!is_set(eos_) && is_set(sep_)) configure("eos_token", eos_ = sep_);
  }

  void apply_roberta(const Json& processor) {
    for (const char* type : {"bos", "eos", "sep"}) special_.set_added(type, true);
    if (!configured_) return;
    if (!is_set(cls_)) configure("cls_token", cls_ = first_of(processor, "cls", bos_));
    if (!is_set(sep_)) configure("sep_token", sep_ = first_of(processor, "sep", eos_));
  }

  void apply_template(const Json& processor) {
    const std::span<const Json> single = elements(processor, "single");
    Json first;
    Json last;
    if (single.size() > 1) {
      first = special_id(single.front());
      if (is_set(first)) note_first(first);
      last = special_id(single.back());
      if (is_set(last)) note_last(last);
    }
    apply_pair(elements(processor, "pair"), first, last);
  }

 private:
  void configure(std::string_view key, const Json& value) {
    if (configured_) settings_.set(std::string(key), value);
  }

  static Json first_of(const Json& processor, std::string_view key, const Json& fallback) {
    const std::span<const Json> pair = elements(processor, key);
    return pair.empty() ? fallback : pair.front();
  }

  void note_first(const Json& first) {
    if (!configured_) {
      bos_ = first;
    } else if (first != bos_ && first != cls_) {
      if (!is_set(bos_)) configure("bos_token", bos_ = first);
      if (!is_set(cls_)) configure("cls_token", cls_ = first);
    }
    special_.set_added("bos", first == bos_ || first == cls_);
  }

  // A template that ends otherwise than the configured end of text decides; the configured token
  // then ends a turn (eot) or a message (eom).
  void note_last(const Json& last) {
    if (configured_ && last != eos_) {
      for (const char* type : {"eot", "eom"}) {
        if (std::ranges::find(types_, type) != types_.end()) continue;
        types_.emplace_back(type);
        configure(std::string(type) + "_token", eos_);
        break;
      }
      configure("eos_token", last);
    }
    eos_ = last;
    special_.set_added("eos", true);
  }

  // "first A sep eos B last": is a separator put between the two halves of a pair?
  void apply_pair(std::span<const Json> pair, const Json& first, const Json& last) {
    if (pair.empty()) return;
    const bool has_first = is_set(first) && special_id(pair.front()) == first;
    const bool has_last = is_set(last) && special_id(pair.back()) == last;
    if (pair.size() < (has_first ? 1U : 0U) + (has_last ? 1U : 0U)) return;
    if (has_first) pair = pair.subspan(1);
    if (has_last) pair = pair.first(pair.size() - 1);
    if (pair.size() < 3 || !is_sequence(pair.front(), "A") || !is_sequence(pair.back(), "B"))
      return;
    const std::span<const Json> middle = pair.subspan(1, pair.size() - 2);
    const auto separates = [&](const Json& element) {
      const Json id = special_id(element);
      return is_set(id) && (id == sep_ || id == eos_);
    };
    const bool separated =
        (separates(middle[0]) && !is_set(last)) || (middle.size() == 2 && separates(middle[1]));
    special_.set_added("sep", separated);
    if (separated && !is_set(sep_)) configure("sep_token", eos_);
  }

  Json::Object& settings_;
  std::vector<std::string>& types_;
  SpecialTokens& special_;
  bool configured_;
  Json bos_;
  Json eos_;
  Json cls_;
  Json sep_;
};

}  // namespace

void apply_post_processor(const Json& tokenizer_json, Json::Object& settings,
                          std::vector<std::string>& types, SpecialTokens& special) {
  Roles roles(settings, types, special);
  const Json* root = tokenizer_json.find("post_processor");
  if (root == nullptr) return;
  const Json* list = root->find("processors");
  const std::span<const Json> processors =
      list == nullptr ? std::span(root, 1) : elements(*root, "processors");
  for (const Json& processor : processors) {
    const Json* type = processor.find("type");
    if (type == nullptr || !type->is_string()) continue;
    if (type->as_string() == "RobertaProcessing") roles.apply_roberta(processor);
    if (type->as_string() == "TemplateProcessing") roles.apply_template(processor);
  }
}

}  // namespace holdfast::convert
