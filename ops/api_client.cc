#include "ops/api_client.h"

#include <chrono>
#include <optional>
#include <thread>
#include <utility>

#include <curl/curl.h>
#include <fmt/format.h>

#include "ops/version.h"
#include "ops/workers.h"
#include "storage/base/error.h"
#include "storage/store.h"
#include "web/audit_log.h"
#include "web/handler.h"
#include "web/quotas.h"

namespace holdfast::ops {
namespace {

using namespace std::chrono_literals;

constexpr auto kLocalPoll = 20ms;
constexpr long kSocketTimeoutSeconds = 60;
constexpr std::string_view kStoreMark = "FORMAT";  // storage/FORMAT.md
constexpr std::string_view kConfigName = "holdfast.toml";

// Which Error an HTTP status stands for.
struct StatusKind {
  int status;
  ErrorKind kind;
};

constexpr StatusKind kStatusKinds[] = {
    {400, ErrorKind::Invalid},     {401, ErrorKind::Denied},   {403, ErrorKind::Denied},
    {404, ErrorKind::NotFound},    {409, ErrorKind::Conflict}, {413, ErrorKind::LimitExceeded},
    {503, ErrorKind::Unavailable},
};

Json to_answer(int status, std::string_view body, std::string_view target) {
  if (status >= 200 && status < 300) return parse_json(body, target);
  ErrorKind kind = ErrorKind::Io;
  for (const StatusKind& row : kStatusKinds) {
    if (row.status == status) kind = row.kind;
  }
  std::string text = fmt::format("{}: status {}", target, status);
  if (body.starts_with('{')) {
    const Json answer = parse_json(body, target);
    if (const Json* error = answer.find("error"); error != nullptr && error->is_string()) {
      text = error->as_string();
    }
  }
  fail(kind, text);
}

// Opens the store in this process and answers from the same handlers that the server uses.
class LocalClient final : public ApiClient {
 public:
  LocalClient(const Config& config, Environment environment, StoreUse use)
      : config_(config),
        environment_(std::move(environment)),
        store_(open_store(config, use)),
        quotas_(config.guards.quotas, store_->catalog()),
        services_{.store = *store_,
                  .version = kVersion,
                  .external_url = config.external_url,
                  .quotas = &quotas_} {
    const auto& guards = config.guards;
    if (!guards.audit_log.empty()) audit_log_.emplace(guards.audit_log, guards.audit_level);
  }

  Json call(std::string_view method, const std::string& target, const Json& body) override {
    const std::string text = body.is_null() ? std::string() : to_text(body);
    const web::Header headers[] = {{"Content-Type", "application/json"}};
    web::Request request;
    request.method = method;
    request.target = target;
    request.headers = headers;
    request.body = text;
    request.trusted = true;
    const auto start = std::chrono::steady_clock::now();
    web::Response response = web::handle(request, services_);
    while (response.wait_max > 0ms &&
           std::chrono::steady_clock::now() - start < response.wait_max) {
      std::this_thread::sleep_for(kLocalPoll);
      response = web::handle(request, services_);
    }
    if (audit_log_) audit_log_->add(request, response);
    Json answer = to_answer(response.status, std::get<std::string>(response.body), target);
    if (method == "POST" && target == "/-/api/v1/jobs") run_in_background(answer);
    return answer;
  }

  void finish() override {
    for (std::jthread& thread : threads_) thread.join();
    threads_.clear();
    run_queued_scans(*store_, config_, environment_);
  }

 private:
  void run_in_background(const Json& queued) {
    const storage::JobId id = queued.find("id")->as_uint("id");
    threads_.emplace_back([this, id](const std::stop_token& stop) {
      run_queued_job(*store_, id, config_, environment_, stop);
    });
  }

  Config config_;
  Environment environment_;
  std::unique_ptr<storage::Store> store_;
  web::Quotas quotas_;
  web::Services services_;
  std::optional<web::AuditLog> audit_log_;
  std::vector<std::jthread> threads_;  // last: joined before the store closes
};

struct CurlDeleter {
  void operator()(CURL* curl) const { curl_easy_cleanup(curl); }

  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

std::size_t append_body(const char* data, std::size_t, std::size_t size, void* body) {
  static_cast<std::string*>(body)->append(data, size);
  return size;
}

// Talks HTTP to the running server over its Unix socket.
class SocketClient final : public ApiClient {
 public:
  explicit SocketClient(std::filesystem::path socket) : socket_(std::move(socket)) {}

  // Whether a server answers there.
  bool answers() {
    try {
      get("/-/readyz");
      return true;
    } catch (const Error&) {
      return false;
    }
  }

  Json call(std::string_view method, const std::string& target, const Json& body) override {
    const std::unique_ptr<CURL, CurlDeleter> curl(curl_easy_init());
    const std::unique_ptr<curl_slist, CurlDeleter> headers(
        curl_slist_append(nullptr, "Content-Type: application/json"));
    const std::string url = "http://localhost" + target;
    const std::string verb(method);
    const std::string text = body.is_null() ? std::string() : to_text(body);
    std::string answer;
    curl_easy_setopt(curl.get(), CURLOPT_UNIX_SOCKET_PATH, socket_.c_str());
    curl_easy_setopt(curl.get(), CURLOPT_URL, url.c_str());
    curl_easy_setopt(curl.get(), CURLOPT_HTTPHEADER, headers.get());
    curl_easy_setopt(curl.get(), CURLOPT_TIMEOUT, kSocketTimeoutSeconds);
    curl_easy_setopt(curl.get(), CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, append_body);
    curl_easy_setopt(curl.get(), CURLOPT_WRITEDATA, &answer);
    if (!body.is_null()) {
      curl_easy_setopt(curl.get(), CURLOPT_POSTFIELDS, text.c_str());
      curl_easy_setopt(curl.get(), CURLOPT_POSTFIELDSIZE, static_cast<long>(text.size()));
    }
    curl_easy_setopt(curl.get(), CURLOPT_CUSTOMREQUEST, verb.c_str());
    if (const CURLcode code = curl_easy_perform(curl.get()); code != CURLE_OK) {
      fail(ErrorKind::Unavailable,
           fmt::format("{}: {}", socket_.string(), curl_easy_strerror(code)));
    }
    long status = 0;
    curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &status);
    return to_answer(static_cast<int>(status), answer, target);
  }

  void finish() override {}

 private:
  std::filesystem::path socket_;
};

}  // namespace

std::unique_ptr<storage::Store> open_store(const Config& config, StoreUse use) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  if (!fs::exists(config.data / kStoreMark, ignored)) {
    if (use == StoreUse::Read) {
      fail(ErrorKind::NotFound,
           fmt::format("{}: no store here (--data, HOLDFAST_DATA)", config.data.string()));
    }
    for (const fs::directory_entry& entry : fs::directory_iterator(config.data, ignored)) {
      if (entry.path().filename() == kConfigName) continue;
      fail(ErrorKind::Conflict,
           fmt::format("{}: holds other files, such as {}: a store needs a folder of its own",
                       config.data.string(), entry.path().filename().string()));
    }
  }
  return storage::Store::open({.directory = config.data});
}

std::unique_ptr<ApiClient> open_client(const Config& config, const Environment& environment,
                                       StoreUse use) {
  const std::filesystem::path socket = config.data / "holdfast.sock";
  std::error_code ignored;
  if (std::filesystem::exists(socket, ignored)) {
    auto client = std::make_unique<SocketClient>(socket);
    if (client->answers()) return client;
  }
  return std::make_unique<LocalClient>(config, environment, use);
}

std::string encode_component(std::string_view text) {
  constexpr std::string_view kPlain =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
  std::string encoded;
  for (const char c : text) {
    if (kPlain.find(c) != std::string_view::npos) {
      encoded += c;
    } else {
      encoded += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return encoded;
}

}  // namespace holdfast::ops
