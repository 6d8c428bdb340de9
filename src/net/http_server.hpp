// A small HTTP/1.1 server for the pages of operators: it answers GET and HEAD from a handler and
// everything else with 405. Heads are bounded, slow clients are cut, connections are few.
//
// All calls and the handler run on the io thread, except the constructor, listen() before the
// thread starts, and stop() / the destructor after it was joined. The thread outlives the server.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.hpp"

namespace mpr {

class IoThread;

struct HttpRequest {
  std::string method;  // "GET" or "HEAD"
  std::string target;  // as sent: path and query
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
};

class HttpServer {
 public:
  using Handler = std::function<HttpResponse(const HttpRequest&)>;

  struct Limits {
    std::size_t connections = 256;  // more are answered with 503
    std::chrono::milliseconds idle_timeout{15'000};
    std::chrono::milliseconds request_timeout{5'000};  // from its first byte to its last
  };

  HttpServer(IoThread& thread, Handler handler);
  HttpServer(IoThread& thread, Handler handler, Limits limits);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  // Yields the actual port. Fails with `unavailable`, naming the address.
  Result<std::uint16_t> listen(const std::string& address, std::uint16_t port);

  // Closes the listener and all connections.
  void stop();

 private:
  class State;
  std::unique_ptr<State> state_;
};

}  // namespace mpr
