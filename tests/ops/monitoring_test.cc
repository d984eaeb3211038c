// The alert rules and the Grafana board, read as their programs read them, against the table of
// docs/metrics.md; monitoring.sh holds that table against a server.
#include <algorithm>
#include <array>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>
#include <yaml-cpp/yaml.h>

#include "storage/base/json.h"

namespace holdfast::ops {
namespace {

const std::string kRoot = HOLDFAST_SOURCE_DIR;

std::string text_of(const std::string& path) {
  std::ifstream in(kRoot + path);
  REQUIRE(in);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

using Labels = std::set<std::string>;

// By the names that samples have: those of a histogram end in "_bucket", "_sum", "_count".
const std::map<std::string, Labels>& known_metrics() {
  static const auto kMetrics = [] {
    std::map<std::string, Labels> metrics{{"up", {"job", "instance"}}};
    std::istringstream page(text_of("/docs/metrics.md"));
    const std::regex row(R"(^\| `(holdfast_[a-z_]+)` \| ([a-z]+) \|([^|]*)\| .*)");
    const std::regex word("`([a-z_]+)`");
    for (std::string line; std::getline(page, line);) {
      std::smatch match;
      if (!std::regex_match(line, match, row)) continue;
      const std::string name = match[1], type = match[2], list = match[3];
      Labels labels{"job", "instance"};
      for (std::sregex_iterator at(list.begin(), list.end(), word), end; at != end; ++at)
        labels.insert((*at)[1]);
      if (type != "histogram" && type != "summary") {
        metrics[name] = labels;
        continue;
      }
      metrics[name + "_sum"] = metrics[name + "_count"] = labels;
      labels.insert("le");
      if (type == "histogram") metrics[name + "_bucket"] = labels;
    }
    return metrics;
  }();
  return kMetrics;
}

// One PromQL expression: its brackets, and whether its words are metrics, labels and functions.
class Expression {
 public:
  explicit Expression(std::string text) : text_(std::move(text)) {
    while (problem.empty() && skip_blank()) take_next();
    if (problem.empty() && !open_.empty()) problem = "a bracket stays open";
    for (const std::string& label : grouped_)
      if (problem.empty() && !labels.contains(label)) problem = "no metric has the label " + label;
  }

  std::string problem;  // "" when there is none
  std::set<std::string> metrics;
  Labels labels;  // of all its metrics

 private:
  bool skip_blank() {
    at_ = std::min(text_.find_first_not_of(" \t\n", at_), text_.size());
    return at_ < text_.size();
  }

  void take_next() {
    const char c = text_[at_];
    if (c == '(' || c == '{' || c == '[') return open(c);
    if (c == ')' || c == '}' || c == ']') return close(c);
    if (open_.ends_with('{')) return take_matcher();
    if (std::isalpha(static_cast<unsigned char>(c)) != 0) return take_word();
    if (open_.ends_with('[')) {
      take(R"(\d+[smhd]|\$__rate_interval)", "a duration");
    } else {
      take(R"([-+*/,]|[<>=!]=|[<>]|\d+(\.\d+)?)", "an operator or a number");
    }
  }

  void open(char c) {
    if (c == '{' && metric_.empty()) problem = "matchers of no metric";
    open_ += c;
    ++at_;
  }

  void close(char c) {
    const std::string_view pairs = "(){}[]";
    if (open_.empty() || pairs[pairs.find(open_.back()) + 1] != c)
      problem = std::string("unexpected ") + c;
    if (!open_.empty()) open_.pop_back();
    ++at_;
  }

  std::smatch take(const std::string& pattern, const std::string& expected) {
    std::smatch match;
    const auto from = text_.cbegin() + static_cast<std::ptrdiff_t>(at_);
    if (!std::regex_search(from, text_.cend(), match, std::regex(pattern),
                           std::regex_constants::match_continuous)) {
      problem = "expected " + expected + " at: " + text_.substr(at_);
    } else {
      at_ += static_cast<std::size_t>(match.length());
    }
    return match;
  }

  void take_matcher() {
    const auto match = take(R"(([a-z_]+)\s*(=~|!~|!=|=)\s*"[^"]*"\s*(,\s*|(?=\})))", "a matcher");
    if (problem.empty() && !known_metrics().at(metric_).contains(match[1]))
      problem = metric_ + " has no label " + match[1].str();
  }

  void take_word() {
    static const std::set<std::string> kWords{
        "and",  "or",    "unless", "sum",      "max",    "count",          "topk",
        "rate", "delta", "time",   "increase", "vector", "predict_linear", "histogram_quantile"};
    const std::string word = take("[A-Za-z_:][A-Za-z0-9_:]*", "a word").str();
    if (word == "by" || word == "without") {
      const auto list = take(R"(\s*\(([a-z_, ]*)\))", "labels");
      const std::string names = problem.empty() ? list[1].str() : "";
      const std::regex name("[a-z_]+");
      for (std::sregex_iterator one(names.begin(), names.end(), name), end; one != end; ++one)
        grouped_.insert(one->str());
    } else if (const auto known = known_metrics().find(word); known != known_metrics().end()) {
      metric_ = word;
      metrics.insert(word);
      labels.insert(known->second.begin(), known->second.end());
    } else if (!kWords.contains(word)) {
      problem = "no metric or function is called " + word;
    }
  }

  std::string text_;
  std::size_t at_ = 0;
  std::string open_;    // brackets
  std::string metric_;  // the last one
  std::set<std::string> grouped_;
};

// The labels that a text for people names: "{{ $labels.kind }}" in a rule, "{{kind}}" on the board.
Labels named_in(const std::string& text, const std::string& pattern) {
  Labels named;
  const std::regex name(pattern);
  for (std::sregex_iterator at(text.begin(), text.end(), name), end; at != end; ++at)
    named.insert((*at)[1]);
  return named;
}

void check_names(const Expression& expression, const Labels& named) {
  for (const std::string& label : named) {
    CAPTURE(label);
    CHECK(expression.labels.contains(label));
  }
}

struct Rule {
  std::string expression, summary;
};

std::map<std::string, Rule> alerts() {
  std::map<std::string, Rule> rules;
  for (const YAML::Node& group : YAML::Load(text_of("/ops/monitoring/alerts.yaml"))["groups"]) {
    for (const YAML::Node& rule : group["rules"]) {
      const auto name = rule["alert"].as<std::string>();
      CAPTURE(name);
      CHECK_FALSE(rules.contains(name));
      rules[name] = {rule["expr"].as<std::string>(),
                     rule["annotations"]["summary"].as<std::string>()};
      static const std::set<std::string> kSeverities{"critical", "warning", "info"};
      CHECK(kSeverities.contains(rule["labels"]["severity"].as<std::string>()));
      if (rule["for"]) {
        CHECK(std::regex_match(rule["for"].as<std::string>(), std::regex(R"(\d+[smhd])")));
      }
    }
  }
  return rules;
}

Json board() { return parse_json(text_of("/ops/monitoring/board.json"), "board.json"); }

struct Target {
  std::string panel, expression, legend;
};

std::vector<Target> targets() {
  std::vector<Target> all;
  const Json json = board();
  for (const Json& panel : json.find("panels")->as_array()) {
    for (const Json& target : panel.find("targets")->as_array()) {
      all.push_back({panel.find("title")->as_string(), target.find("expr")->as_string(),
                     target.find("legendFormat")->as_string()});
    }
  }
  return all;
}

}  // namespace

TEST_CASE("ops/monitoring: what is no expression is told from what is one") {
  struct Row {
    std::string_view text, problem;
  };

  const std::string_view good =
      "sum by (code) (rate(holdfast_http_requests_total{code=~\"5..\"}[5m])) > 0.5 * 2";
  const std::array rows{
      Row{good, ""},
      Row{"up{job=\"holdfast\"} == 0", ""},
      Row{"sum(holdfast_holes", "a bracket stays open"},
      Row{"sum(holdfast_holes))", "unexpected )"},
      Row{"rate(holdfast_holes[5m)]", "unexpected )"},
      Row{"rate(holdfast_holes[5 minutes])", "expected a duration"},
      Row{"holdfast_hole", "no metric or function is called holdfast_hole"},
      Row{"mean(holdfast_holes)", "no metric or function is called mean"},
      Row{"holdfast_http_request_duration_seconds", "no metric or function"},
      Row{"holdfast_http_requests_total{status=\"5xx\"}", "has no label status"},
      Row{"holdfast_http_requests_total{code=5}", "expected a matcher"},
      Row{"{code=\"5\"}", "matchers of no metric"},
      Row{"sum by (status) (holdfast_http_requests_total)", "no metric has the label status"}};
  for (const Row& row : rows) {
    CAPTURE(row.text);
    const std::string problem = Expression(std::string(row.text)).problem;
    CAPTURE(problem);
    CHECK(row.problem.empty() == problem.empty());
    CHECK(problem.find(row.problem) != problem.npos);
  }
}

TEST_CASE("ops/monitoring: every alert rule is one that Prometheus takes") {
  const auto rules = alerts();
  CHECK(rules.size() > 10);
  for (const auto& [name, rule] : rules) {
    CAPTURE(name);
    const Expression expression(rule.expression);
    CHECK(expression.problem == "");
    check_names(expression, named_in(rule.summary, R"(\$labels\.([a-z_]+))"));
  }
}

TEST_CASE("ops/monitoring: every panel of the board has a place and shows what there is") {
  std::set<std::uint64_t> ids;
  std::set<std::pair<std::uint64_t, std::uint64_t>> taken;
  const Json json = board();
  for (const Json& panel : json.find("panels")->as_array()) {
    CAPTURE(panel.find("title")->as_string());
    CHECK(ids.insert(panel.find("id")->as_uint()).second);
    const auto at = [&](std::string_view key) {
      return panel.find_path({"gridPos", key})->as_uint();
    };
    CHECK(at("x") + at("w") <= 24);
    for (std::uint64_t x = at("x"); x < at("x") + at("w"); ++x) {
      for (std::uint64_t y = at("y"); y < at("y") + at("h"); ++y)
        CHECK(taken.insert({x, y}).second);
    }
  }
  CHECK(targets().size() >= ids.size());
  for (const Target& target : targets()) {
    CAPTURE(target.panel);
    const Expression expression(target.expression);
    CHECK(expression.problem == "");
    CHECK(target.expression.find("instance=~\"$instance\"") != std::string::npos);
    check_names(expression, named_in(target.legend, R"(\{\{([a-z_]+)\}\})"));
  }
}

TEST_CASE("ops/monitoring: every metric is watched") {
  std::set<std::string> watched;
  const auto watch = [&](const std::string& text) {
    const Expression expression(text);
    watched.insert(expression.metrics.begin(), expression.metrics.end());
  };
  for (const auto& [name, rule] : alerts()) watch(rule.expression);
  for (const Target& target : targets()) watch(target.expression);
  for (const auto& [name, labels] : known_metrics()) {
    CAPTURE(name);
    // Of a histogram the buckets are enough.
    const std::string base = name.substr(0, name.rfind('_'));
    CHECK((watched.contains(name) || watched.contains(base + "_bucket")));
  }
}

}  // namespace holdfast::ops
