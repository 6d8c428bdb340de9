#include "net/http_server.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <exception>
#include <optional>
#include <utility>
#include <vector>

#include "base/log.hpp"
#include "net/http_head.hpp"
#include "net/io_thread.hpp"
#include "net/listener.hpp"

namespace mpr {

namespace {

using SteadyTime = std::chrono::steady_clock::time_point;

constexpr std::chrono::milliseconds kSweepInterval{500};

std::string render(const HttpResponse& response, bool keep_alive, bool with_body) {
  std::string out = "HTTP/1.1 " + std::to_string(response.status) + " ";
  out += http_reason(response.status);
  out += "\r\nContent-Type: ";
  out += response.content_type;
  out += "\r\nContent-Length: ";
  out += std::to_string(response.body.size());
  out += "\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n";
  if (response.status == 405) out += "Allow: GET, HEAD\r\n";
  out += keep_alive ? "Connection: keep-alive\r\n\r\n" : "Connection: close\r\n\r\n";
  if (with_body) out += response.body;
  return out;
}

bool has_body(const HttpRequestHead& request) {
  const auto length = request.fields.find("Content-Length");
  return (length && *length != "0") || request.fields.find("Transfer-Encoding").has_value();
}

}  // namespace

// The listener and its connections.
class HttpServer::State final : public IoThread::Source {
 public:
  State(IoThread& thread, Handler handler, Limits limits);
  ~State() override;

  Result<std::uint16_t> listen(const std::string& address, std::uint16_t port);
  void stop();
  void on_ready(IoThread::Ready) override;

 private:
  class Connection;

  void remove(const Connection& connection);
  void sweep();

  IoThread& thread_;
  const Handler handler_;
  const Limits limits_;
  std::optional<Listener> listener_;
  std::vector<std::unique_ptr<Connection>> connections_;
  bool sweeping_ = false;
  // The thread's periodic function may outlive this object: it asks first.
  std::shared_ptr<int> alive_ = std::make_shared<int>();
};

// One client: reads a head, writes an answer, again.
class HttpServer::State::Connection final : public IoThread::Source {
 public:
  Connection(State& server, int fd) : server_(server), fd_(fd), since_(server.thread_.now()) {
    server_.thread_.watch(fd_, *this, IoThread::Interest::read);
  }
  ~Connection() override {
    server_.thread_.unwatch(fd_, *this);
    ::close(fd_);
  }

  void on_ready(IoThread::Ready ready) override {
    if (ready.broken) {
      done_ = true;
    } else if (!out_.empty()) {
      write();
    } else if (ready.readable) {
      read();
    }
    while (!done_ && !closing_ && out_.empty() && next_request()) {
    }
    if (done_) server_.remove(*this);  // the end of this object
  }

  bool late(SteadyTime now) const {
    const bool idle = in_.empty() && out_.empty();
    return now - since_ > (idle ? server_.limits_.idle_timeout : server_.limits_.request_timeout);
  }

 private:
  void read() {
    const std::span<char> buffer = server_.thread_.read_buffer();
    const ssize_t count = ::recv(fd_, buffer.data(), buffer.size(), 0);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (count <= 0) {
      done_ = true;
      return;
    }
    if (closing_) return;  // what comes behind the last answer is of no interest
    if (in_.empty()) since_ = server_.thread_.now();
    in_.append(buffer.data(), static_cast<std::size_t>(count));
  }

  // Answers the first complete request, if there is one.
  bool next_request() {
    const std::size_t size = http_head_bytes(in_, searched_);
    if (size > kMaxHttpHeadBytes || (size == 0 && in_.size() > kMaxHttpHeadBytes)) {
      answer_text(431, "the request head is too large\n");
      return true;
    }
    searched_ = in_.size();
    if (size == 0) return false;
    const Result<HttpRequestHead> request =
        parse_request_head(std::string_view(in_).substr(0, size));
    in_.erase(0, size);
    searched_ = 0;
    if (!request) {
      answer_text(400, request.error().context + "\n");
    } else if (has_body(*request)) {
      answer_text(request->method == "GET" ? 400 : 405, "only GET without a body is served\n");
    } else if (request->method != "GET" && request->method != "HEAD") {
      answer_text(405, "only GET is served\n");
    } else {
      serve(*request);
    }
    return true;
  }

  void serve(const HttpRequestHead& request) {
    const bool keep_alive =
        request.minor_version >= 1 && !request.fields.has_token("Connection", "close");
    HttpResponse response;
    try {
      response = server_.handler_({.method = request.method, .target = request.target});
    } catch (const std::exception& e) {
      log::error("a page could not be made", {{"target", request.target}, {"what", e.what()}});
      response = {.status = 500, .body = "this page could not be made\n"};
    }
    answer(response, keep_alive, request.method == "GET");
  }

  void answer_text(int status, std::string text) {
    answer({.status = status, .content_type = "text/plain; charset=utf-8", .body = std::move(text)},
           false, true);
  }

  void answer(const HttpResponse& response, bool keep_alive, bool with_body) {
    closing_ = !keep_alive;
    out_ = render(response, keep_alive, with_body);
    written_ = 0;
    write();
  }

  void write() {
    while (written_ < out_.size()) {
      const ssize_t count =
          ::send(fd_, out_.data() + written_, out_.size() - written_, MSG_NOSIGNAL);
      if (count < 0 && errno == EINTR) continue;
      if (count < 0 && errno == EAGAIN) {
        if (!std::exchange(waiting_, true)) {
          server_.thread_.change(fd_, *this, IoThread::Interest::write);
        }
        return;
      }
      if (count < 0) {
        done_ = true;
        return;
      }
      written_ += static_cast<std::size_t>(count);
    }
    std::string().swap(out_);
    since_ = server_.thread_.now();
    if (std::exchange(waiting_, false)) {
      server_.thread_.change(fd_, *this, IoThread::Interest::read);
    }
    // Closing at once would reset the connection if the client has sent more, and the answer with
    // it; so the client goes first, or the sweep ends it.
    if (closing_) ::shutdown(fd_, SHUT_WR);
  }

  State& server_;
  const int fd_;
  SteadyTime since_;  // of the present state: idle, reading or writing
  std::string in_;
  std::size_t searched_ = 0;
  std::string out_;
  std::size_t written_ = 0;
  bool waiting_ = false;  // for the socket to take more of out_
  bool closing_ = false;  // after out_
  bool done_ = false;
};

HttpServer::State::State(IoThread& thread, Handler handler, Limits limits)
    : thread_(thread), handler_(std::move(handler)), limits_(limits) {}

HttpServer::State::~State() { stop(); }

Result<std::uint16_t> HttpServer::State::listen(const std::string& address, std::uint16_t port) {
  Result<Listener> opened = Listener::open(address, port);
  if (!opened) return std::unexpected(opened.error());
  listener_.emplace(std::move(*opened));
  thread_.watch(listener_->fd(), *this, IoThread::Interest::read);
  if (!std::exchange(sweeping_, true)) {
    thread_.every(kSweepInterval, [alive = std::weak_ptr(alive_), this] {
      if (alive.lock()) sweep();
    });
  }
  return listener_->port();
}

void HttpServer::State::stop() {
  connections_.clear();
  if (listener_) thread_.unwatch(listener_->fd(), *this);
  listener_.reset();
}

void HttpServer::State::on_ready(IoThread::Ready) {
  for (int fd = listener_->accept(); fd >= 0; fd = listener_->accept()) {
    if (connections_.size() < limits_.connections) {
      connections_.push_back(std::make_unique<Connection>(*this, fd));
      continue;
    }
    const std::string busy = render({.status = 503, .body = "too many connections\n"}, false, true);
    // If the buffer of a new socket does not take this, the client learns from the close.
    [[maybe_unused]] const auto sent = ::send(fd, busy.data(), busy.size(), MSG_NOSIGNAL);
    ::close(fd);
  }
}

void HttpServer::State::remove(const Connection& connection) {
  std::erase_if(connections_, [&](const auto& owned) { return owned.get() == &connection; });
}

void HttpServer::State::sweep() {
  const SteadyTime now = thread_.now();
  std::erase_if(connections_, [now](const auto& connection) { return connection->late(now); });
}

HttpServer::HttpServer(IoThread& thread, Handler handler)
    : HttpServer(thread, std::move(handler), Limits()) {}

HttpServer::HttpServer(IoThread& thread, Handler handler, Limits limits)
    : state_(std::make_unique<State>(thread, std::move(handler), limits)) {}

HttpServer::~HttpServer() = default;

Result<std::uint16_t> HttpServer::listen(const std::string& address, std::uint16_t port) {
  return state_->listen(address, port);
}

void HttpServer::stop() { state_->stop(); }

}  // namespace mpr
