#include "convert/tokenizers/special_tokens.h"

#include <algorithm>
#include <span>
#include <sstream>

#include "convert/tokenizers/post_processor.h"
#include "convert/tokenizers/vocabulary.h"
#include "storage/base/error.h"

namespace holdfast::convert {

namespace {

struct TypeKeys {
  std::string_view type;
  std::string_view id_key;
  std::string_view added_key;  // "" = GGUF has none
};

// GGUF specification, "Special tokens" ("seperator" is its spelling).
constexpr TypeKeys kTypeKeys[] = {
    {"bos", "tokenizer.ggml.bos_token_id", "tokenizer.ggml.add_bos_token"},
    {"eos", "tokenizer.ggml.eos_token_id", "tokenizer.ggml.add_eos_token"},
    {"unk", "tokenizer.ggml.unknown_token_id", ""},
    {"sep", "tokenizer.ggml.seperator_token_id", "tokenizer.ggml.add_sep_token"},
    {"pad", "tokenizer.ggml.padding_token_id", ""},
    {"mask", "tokenizer.ggml.mask_token_id", ""},
    {"eot", "tokenizer.ggml.eot_token_id", ""},
    {"eom", "tokenizer.ggml.eom_token_id", ""},
};

const TypeKeys* find_keys(std::string_view type) {
  const auto* found = std::ranges::find(kTypeKeys, type, &TypeKeys::type);
  return found == std::end(kTypeKeys) ? nullptr : found;
}

// GGUF joins the two halves of a merge with a space, so a space inside a half is written as the
// byte-level alphabet writes it, U+0120.
std::string escape_spaces(std::string_view half) {
  std::string out;
  for (const char c : half) {
    if (c == ' ') {
      out += "\xC4\xA0";
    } else {
      out += c;
    }
  }
  return out;
}

std::vector<std::string> merges_of(const Json& tokenizer_json) {
  constexpr std::string_view kWhere = "tokenizer.json: model.merges";
  std::vector<std::string> merges;
  const Json* list = tokenizer_json.find_path({"model", "merges"});
  if (list == nullptr) return merges;
  for (const Json& merge : list->as_array(kWhere)) {
    if (merge.is_string()) {
      merges.push_back(merge.as_string());
      continue;
    }
    const Json::Array& halves = merge.as_array(kWhere);
    if (halves.size() != 2) {
      fail(ErrorKind::Corrupt, std::string(kWhere) + "[" + std::to_string(merges.size()) +
                                   "]: expected 2 halves, found " + std::to_string(halves.size()));
    }
    merges.push_back(escape_spaces(halves[0].as_string(kWhere)) + " " +
                     escape_spaces(halves[1].as_string(kWhere)));
  }
  return merges;
}

// merges.txt of older checkpoints: an optional "#version" line, then two halves a line.
std::vector<std::string> merges_of_text(const std::string& text) {
  std::vector<std::string> merges;
  std::istringstream lines(text);
  std::string line;
  for (bool first = true; std::getline(lines, line); first = false) {
    if (first && line.starts_with('#')) continue;
    std::istringstream words(line);
    std::string left;
    std::string right;
    std::string rest;
    if (words >> left >> right && !(words >> rest))
      merges.push_back(left.append(" ").append(right));
  }
  return merges;
}

void read_normalizer(const Json& normalizer, SpecialTokens& special) {
  const Json* type = normalizer.find("type");
  if (type == nullptr || !type->is_string()) return;
  const std::string& name = type->as_string();
  if (name == "Lowercase") special.lowercase = true;
  if (name == "StripAccents") special.strip_accents = true;
  if (name == "BertNormalizer") {
    constexpr std::string_view kWhere = "tokenizer.json: normalizer";
    if (const Json* on = normalizer.find("lowercase")) special.lowercase = on->as_bool(kWhere);
    if (const Json* on = normalizer.find("strip_accents")) {
      special.strip_accents = on->as_bool(kWhere);
    }
  }
  if (const Json* parts = normalizer.find("normalizers"); name == "Sequence" && parts != nullptr) {
    for (const Json& part : parts->as_array("tokenizer.json: normalizer.normalizers")) {
      read_normalizer(part, special);
    }
  }
}

std::string stem_of(std::string_view path) {
  path.remove_prefix(path.rfind('/') + 1);
  return std::string(path.substr(0, path.rfind('.')));
}

// Templates that stand in files of their own.
std::vector<NamedTemplate> templates_of_files(const ModelFiles& files) {
  constexpr std::string_view kFolder = "additional_chat_templates/";
  std::vector<NamedTemplate> found;
  if (files.has("chat_template.jinja")) {
    found.push_back({"", read_utf8_text(files, "chat_template.jinja")});
    for (const std::string& path : files.paths()) {
      if (!path.starts_with(kFolder) || !path.ends_with(".jinja")) continue;
      if (path.find('/', kFolder.size()) != std::string::npos) continue;
      found[0].name = "default";
      found.push_back({stem_of(path), read_utf8_text(files, path)});
    }
  } else if (const std::optional<Json> file = read_json_object(files, "chat_template.json")) {
    const Json* text = file->find("chat_template");
    if (text != nullptr && text->is_string()) found.push_back({"", text->as_string()});
  }
  return found;
}

std::vector<NamedTemplate> read_templates(const TokenizerSource& source) {
  const Json::Object& settings = source.tokenizer_config->as_object();
  const Json* value = settings.find("chat_template");
  if (value == nullptr) return templates_of_files(source.files);
  std::vector<NamedTemplate> found;
  if (value->is_string()) found.push_back({"", value->as_string()});
  if (!value->is_array()) return found;
  for (const Json& choice : value->as_array()) {
    const Json* name = choice.find("name");
    const Json* text = choice.find("template");
    if (name == nullptr || text == nullptr) continue;
    found.push_back({name->as_string("tokenizer_config.json: chat_template.name"),
                     text->as_string("tokenizer_config.json: chat_template.template")});
  }
  return found;
}

// The id of the first added token of tokenizer.json with this text.
void set_id_of_text(const Json* added_tokens, std::string_view type, std::string_view text,
                    std::uint64_t tokens, SpecialTokens& special) {
  constexpr std::string_view kWhere = "tokenizer.json: added_tokens";
  if (added_tokens == nullptr) return;
  for (const Json& token : added_tokens->as_array(kWhere)) {
    const std::optional<std::string> content = token_content(&token);
    if (content != text) continue;
    const Json* id = token.find("id");
    if (id != nullptr && id->is_integer()) {
      special.set_id(type, id->as_uint(std::string(kWhere) + ".id"), tokens);
    }
    return;
  }
}

void read_settings(const TokenizerSource& source, const Json::Object& settings,
                   const std::vector<std::string>& types, std::uint64_t tokens,
                   SpecialTokens& special) {
  const Json* added = source.tokenizer_json ? source.tokenizer_json->find("added_tokens") : nullptr;
  for (const std::string& type : types) {
    const Json* flag = settings.find("add_" + type + "_token");
    if (flag != nullptr && flag->is_bool()) special.set_added(type, flag->as_bool());
    if (const auto text = token_content(settings.find(type + "_token"))) {
      set_id_of_text(added, type, *text, tokens, special);
    }
  }
}

bool is_negative(const Json& integer) { return integer.as_double() < 0; }

void read_config_ids(const Json& config, const std::vector<std::string>& types,
                     std::uint64_t tokens, SpecialTokens& special) {
  for (const std::string& type : types) {
    const std::string key = type + "_token_id";
    const Json* id = config.find(key);
    if (id == nullptr) id = config.find_path({"text_config", key});
    // A list names several ends of text, of which GGUF takes none; a negative id says "none".
    if (id == nullptr || !id->is_integer() || is_negative(*id)) continue;
    special.set_id(type, id->as_uint("config.json: " + key), tokens);
  }
}

std::string template_key_name(std::string_view name) {
  const auto is_plain = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  };
  std::string key(name);
  for (char& c : key) {
    if (!is_plain(c)) c = '_';
  }
  return key;
}

void write_templates(const std::vector<NamedTemplate>& templates, Metadata& metadata) {
  std::vector<std::string> names;
  std::string preferred;
  for (const NamedTemplate& entry : templates) {
    const std::string name = template_key_name(entry.name);
    if (name.empty() || name == "default") {
      preferred = entry.text;
      continue;
    }
    if (std::ranges::find(names, name) == names.end()) names.push_back(name);
    set_unless_empty(metadata, "tokenizer.chat_template." + name, entry.text);
  }
  set_unless_empty(metadata, "tokenizer.chat_templates", std::move(names));
  set_unless_empty(metadata, "tokenizer.chat_template", std::move(preferred));
}

}  // namespace

const std::uint64_t* SpecialTokens::find_id(std::string_view type) const noexcept {
  const auto found = std::ranges::find(ids, type, &std::pair<std::string, std::uint64_t>::first);
  return found == ids.end() ? nullptr : &found->second;
}

void SpecialTokens::set_id(std::string_view type, std::uint64_t id, std::uint64_t tokens_max) {
  if (id < tokens_max && find_id(type) == nullptr) ids.emplace_back(type, id);
}

void SpecialTokens::set_added(std::string_view type, bool value) {
  const auto found = std::ranges::find(added, type, &std::pair<std::string, bool>::first);
  if (found == added.end()) {
    added.emplace_back(type, value);
  } else {
    found->second = value;
  }
}

void SpecialTokens::write_ids(Metadata& metadata) const {
  for (const auto& [type, id] : ids) {
    const TypeKeys* keys = find_keys(type);
    if (keys == nullptr) continue;
    if (id > UINT32_MAX) {
      fail(ErrorKind::Corrupt, type + "_token_id: expected 32 bits, found " + std::to_string(id));
    }
    metadata.set(std::string(keys->id_key), static_cast<std::uint32_t>(id));
  }
}

void SpecialTokens::write_added(Metadata& metadata) const {
  for (const auto& [type, value] : added) {
    const TypeKeys* keys = find_keys(type);
    if (keys != nullptr && !keys->added_key.empty()) {
      metadata.set(std::string(keys->added_key), value);
    }
  }
}

void SpecialTokens::write(Metadata& metadata) const {
  set_unless_empty(metadata, "tokenizer.ggml.merges", merges);
  write_ids(metadata);
  write_added(metadata);
  write_templates(templates, metadata);
  if (lowercase) metadata.set("tokenizer.ggml.normalizer.lowercase", *lowercase);
  if (strip_accents) metadata.set("tokenizer.ggml.normalizer.strip_accents", *strip_accents);
}

SpecialTokens read_special_tokens(const TokenizerSource& source, Merges merges,
                                  std::uint64_t tokens) {
  std::vector<std::string> types = {"bos", "eos", "unk", "sep", "pad", "cls", "mask"};
  SpecialTokens special;
  Json::Object settings;
  if (source.tokenizer_config) settings = source.tokenizer_config->as_object();
  if (source.tokenizer_json) {
    if (merges == Merges::Loaded) special.merges = merges_of(*source.tokenizer_json);
    if (const Json* normalizer = source.tokenizer_json->find("normalizer")) {
      read_normalizer(*normalizer, special);
    }
    apply_post_processor(*source.tokenizer_json, settings, types, special);
  }
  if (!settings.empty()) {
    special.templates = read_templates(source);
    read_settings(source, settings, types, tokens, special);
  }
  read_config_ids(source.config, types, tokens, special);
  if (merges == Merges::Loaded && special.merges.empty() && source.files.has("merges.txt")) {
    special.merges = merges_of_text(read_utf8_text(source.files, "merges.txt"));
  }
  return special;
}

}  // namespace holdfast::convert
