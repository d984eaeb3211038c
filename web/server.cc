#include "web/server.h"

#include <atomic>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>
#include <optional>
#include <thread>
#include <vector>

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/thread_pool.hpp>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "storage/base/error.h"
#include "storage/base/file.h"
#include "web/access_log.h"
#include "web/browser_session.h"
#include "web/git_packs.h"
#include "web/hot_files.h"
#include "web/internal/log.h"
#include "web/internal/worker.h"
#include "web/limits.h"
#include "web/memory_budget.h"
#include "web/metrics.h"
#include "web/name_index.h"
#include "web/quotas.h"
#include "web/search_index.h"
#include "web/uploads.h"

namespace holdfast::web {
namespace {

namespace asio = boost::asio;
using Endpoint = asio::ip::tcp::endpoint;

constexpr int kBacklog = 4096;
constexpr std::size_t kPoolThreads = 4;
constexpr std::chrono::milliseconds kDrainLook{5};

Endpoint parse_listen(const std::string& listen) {
  const auto bad = [&] {
    fail(ErrorKind::Invalid, "listen: expected ADDRESS:PORT, found \"" + listen + "\"");
  };
  const auto colon = listen.rfind(':');
  if (colon == std::string::npos) bad();
  std::string host = listen.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  if (host == "localhost") host = "127.0.0.1";
  std::uint16_t port = 0;
  const char* const end = listen.data() + listen.size();
  const auto number = std::from_chars(listen.data() + colon + 1, end, port);
  if (number.ec != std::errc() || number.ptr != end) bad();
  boost::system::error_code error;
  const auto address = asio::ip::make_address(host, error);
  if (error) bad();
  return {address, port};
}

void check_reach(const ServerOptions& options, const Endpoint& endpoint,
                 storage::AccessBook* book) {
  if (endpoint.address().is_loopback() || options.insecure) return;
  if (options.guards.anonymous_read.value_or(false)) return;
  if (book != nullptr && !book->tokens().empty()) return;
  fail(ErrorKind::Denied,
       "listen: " + options.listen +
           " can be reached by other machines, and nobody has a token yet; make one with "
           "\"holdfast token create\", listen on 127.0.0.1, or pass --insecure to serve everything "
           "to everyone");
}

[[noreturn]] void fail_listen(int error, const std::string& where) {
  if (error == EADDRINUSE) fail(ErrorKind::Conflict, "listen: " + where + " is in use already");
  fail_errno("listen", where, error);
}

std::string to_text(const Endpoint& endpoint) {
  const auto ip = endpoint.address();
  return (ip.is_v6() ? "[" + ip.to_string() + "]" : ip.to_string()) + ":" +
         std::to_string(endpoint.port());
}

UniqueFd listen_tcp(const Endpoint& endpoint) {
  const std::string where = to_text(endpoint);
  UniqueFd fd(
      ::socket(endpoint.protocol().family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) fail_listen(errno, where);
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  if (::bind(fd.get(), endpoint.data(), static_cast<socklen_t>(endpoint.size())) != 0 ||
      ::listen(fd.get(), kBacklog) != 0) {
    fail_listen(errno, where);
  }
  return fd;
}

// SO_REUSEPORT lets a second server of ours share the port without a word: one plain bind first
// finds out whether somebody is there.
void check_free(const Endpoint& endpoint) {
  const std::string where = to_text(endpoint);
  const UniqueFd probe(::socket(endpoint.protocol().family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  ::setsockopt(probe.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::bind(probe.get(), endpoint.data(), static_cast<socklen_t>(endpoint.size())) != 0) {
    fail_listen(errno, where);
  }
}

Endpoint bound_endpoint(int fd, Endpoint endpoint) {
  sockaddr_storage name{};
  socklen_t length = sizeof name;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&name), &length);
  std::memcpy(endpoint.data(), &name, std::min<std::size_t>(length, endpoint.capacity()));
  return endpoint;
}

UniqueFd listen_unix(const std::filesystem::path& path) {
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  if (path.native().size() >= sizeof name.sun_path) {
    fail(ErrorKind::LimitExceeded, "socket_path: \"" + path.native() + "\": expected at most " +
                                       std::to_string(sizeof name.sun_path - 1) + " bytes");
  }
  path.native().copy(name.sun_path, sizeof name.sun_path - 1);
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) fail_listen(errno, path.native());
  // What is left of a process that died; the store's lock says that none of ours lives.
  ::unlink(path.c_str());
  // On Linux the mode set before bind() is the mode that the name is born with.
  constexpr mode_t kOwnerOnly = 0600;
  ::fchmod(fd.get(), kOwnerOnly);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0 ||
      ::chmod(path.c_str(), kOwnerOnly) != 0 || ::listen(fd.get(), kBacklog) != 0) {
    fail_listen(errno, path.native());
  }
  return fd;
}

// Systems give a process 1024 descriptors until it asks for more; a busy server needs one for each
// connection and each file that it keeps open. Less than wished for is no error: accepting waits.
void allow_descriptors(std::size_t connections_max) {
  constexpr std::size_t kOthers = 2048;  // files held open, the catalog's own, listeners, logs
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  const rlim_t wanted = std::min<rlim_t>(limit.rlim_max, connections_max + kOthers);
  if (limit.rlim_cur >= wanted) return;
  limit.rlim_cur = wanted;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

// Threads started while it lives inherit a mask without signals.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before_);
  }

  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

  ~SignalsBlocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_{};
};

// Who signed in stays so when the server starts again.
GuardOptions with_session_key(GuardOptions options, storage::Store& store) {
  if (store.access() != nullptr && !options.session_key)
    options.session_key = load_session_key(store.directory());
  return options;
}

}  // namespace

struct Server::State {
  State(ServerOptions given, storage::Store& store)
      : options(std::move(given)),
        endpoint(parse_listen(options.listen)),
        names(store),
        search(store),
        uploads(load_session_key(store.directory())),
        guards(with_session_key(options.guards, store),
               {.loopback = endpoint.address().is_loopback(), .insecure = options.insecure},
               store.access()),
        quotas(options.guards.quotas, store.catalog()),
        services{.store = store,
                 .version = options.version,
                 .external_url = options.external_url,
                 .started = system_clock().now(),
                 .draining = &draining,
                 .metrics = &metrics,
                 .names = &names,
                 .search = &search,
                 .hot_files = &hot_files,
                 .uploads = &uploads,
                 .access = guards.access(),
                 .quotas = &quotas,
                 .commit_lines = &commit_lines,
                 .packs = &packs,
                 .pull = options.pull,
                 .mirrors = options.mirrors,
                 .more_metrics = options.more_metrics,
                 .webhook_secret = options.webhook_secret} {
    check_reach(options, endpoint, store.access());
    if (const auto size_bytes_min = xet_size_bytes_min(options.xet)) {
      services.xet = &xet.emplace(*size_bytes_min, load_session_key(store.directory()));
    }
    if (!options.access_log.empty()) access_log.emplace(options.access_log);
    if (!options.tls.certificate.empty()) {
      tls.emplace(options.tls);
      metrics.set_certificate_end(tls->certificate_end());
    }
  }

  ServerOptions options;
  Endpoint endpoint;
  Metrics metrics;
  NameIndex names;
  SearchIndex search;
  HotFiles hot_files;
  Uploads uploads;
  Guards guards;
  Quotas quotas;
  MemoryBudget commit_lines{kCommitLinesMax};
  MemoryBudget bodies{options.bodies_max};
  GitPacks packs;
  std::optional<TlsContext> tls;
  std::optional<Xet> xet;
  Services services;
  std::optional<AccessLog> access_log;
  Connections connections{options.connections_max, &metrics};
  std::atomic<bool> draining{false};
  std::unique_ptr<asio::thread_pool> pool;
  std::unique_ptr<SessionContext> context;
  std::vector<std::unique_ptr<Worker>> workers;
  storage::JobQueue::Watch job_watch;  // calls the workers
  storage::PullThrough::Watch pull_watch;
};

Server::Server(ServerOptions options, storage::Store& store)
    : state_(std::make_unique<State>(std::move(options), store)) {}

Server::~Server() { drain(std::chrono::milliseconds(0)); }

void Server::start() {
  State& state = *state_;
  const SignalsBlocked blocked;
  allow_descriptors(state.options.connections_max);
  if (state.endpoint.port() != 0) check_free(state.endpoint);
  state.pool = std::make_unique<asio::thread_pool>(kPoolThreads);
  state.context = std::make_unique<SessionContext>(
      SessionContext{.services = state.services,
                     .timeouts = state.options.timeouts,
                     .pool = *state.pool,
                     .draining = state.draining,
                     .bodies = state.bodies,
                     .access_log = state.access_log ? &*state.access_log : nullptr,
                     .guards = state.guards,
                     .tls = state.tls ? &*state.tls : nullptr});
  const unsigned threads = state.options.threads != 0
                               ? state.options.threads
                               : std::max(1U, std::thread::hardware_concurrency());
  for (unsigned i = 0; i < threads; ++i) {
    UniqueFd listener = listen_tcp(state.endpoint);
    // The first bind turns port 0 into a number that the others share.
    state.endpoint = bound_endpoint(listener.get(), state.endpoint);
    auto worker = std::make_unique<Worker>(*state.context, state.connections);
    worker->listen(std::move(listener), false);
    if (i == 0 && !state.options.socket_path.empty()) {
      worker->listen(listen_unix(state.options.socket_path), true);
    }
    state.workers.push_back(std::move(worker));
  }
  state.services.authority = address();
  state.search.start();
  for (const auto& worker : state.workers) worker->start();
  const auto tell_news = [&state] {
    for (const auto& worker : state.workers) worker->tell_news();
  };
  state.job_watch = state.services.store.jobs().watch(tell_news);
  if (state.services.pull != nullptr) state.pull_watch = state.services.pull->watch(tell_news);
  state.packs.set_watch(tell_news);
}

std::string Server::address() const { return to_text(state_->endpoint); }

std::uint16_t Server::port() const { return state_->endpoint.port(); }

void Server::reload() noexcept {
  const auto attempt = [](auto reload_part) {
    try {
      reload_part();
    } catch (const std::exception& error) {
      log()->error("reload_failed error=\"{}\"", error.what());
    }
  };
  attempt([&] { state_->guards.reload(); });
  attempt([&] {
    if (!state_->tls) return;
    state_->tls->reload();
    state_->metrics.set_certificate_end(state_->tls->certificate_end());
  });
}

void Server::drain(std::chrono::milliseconds patience) {
  State& state = *state_;
  if (state.draining.exchange(true)) return;
  const auto until = std::chrono::steady_clock::now() + patience;
  for (const auto& worker : state.workers) {
    worker->stop_accepting();
    worker->close_idle();
  }
  while (state.connections.open() > 0 && std::chrono::steady_clock::now() < until) {
    std::this_thread::sleep_for(kDrainLook);
  }
  for (const auto& worker : state.workers) worker->close_all();
  state.job_watch.reset();
  state.pull_watch.reset();
  state.packs.set_watch({});
  // A session that waits for the pool ends when its work is done, so the workers go first.
  state.workers.clear();
  if (state.pool) state.pool->join();
  state.search.stop();
  if (!state.options.socket_path.empty() && state.context) {
    ::unlink(state.options.socket_path.c_str());
  }
}

}  // namespace holdfast::web
