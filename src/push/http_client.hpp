// Sends HTTP requests to few origins over few long-lived connections: HTTP/2 with many streams
// where TLS negotiates it, HTTP/1.1 otherwise. A thin layer over libcurl's multi interface, driven
// by an io thread's event loop.
//
// Everything is for that thread, except construction and destruction, which are for the owner while
// the thread does not run. The thread outlives the client. Requests under way and connections are
// bounded; what is over the bound waits here in order. Never logs, never repeats a request of its
// own accord, and never follows a redirection.
#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/task.hpp"
#include "net/io_thread.hpp"

namespace mpr {

struct HttpRequest {
  std::string url;
  std::vector<std::string> headers;  // "name: value"
  std::string body;                  // of a POST
};

struct HttpAnswer {
  int status = 0;    // 0: no answer came
  std::string body;  // its first 16 KiB
  std::optional<std::chrono::seconds> retry_after;
  std::string failure;  // without an answer: why, in words that hold nothing of the request
};

class HttpClient {
 public:
  struct Options {
    std::string ca_file = {};     // PEM; empty: the system's authorities
    std::size_t in_flight = 400;  // requests handed to libcurl at once
    std::size_t connections = 4;  // to one origin
    std::size_t streams = 250;    // on one connection, at most; the peer may allow fewer
    std::chrono::milliseconds connect_timeout{5'000};
    std::chrono::milliseconds timeout{10'000};  // from the first byte sent to the answer's last
  };

  HttpClient(IoThread& thread, Options options);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  Task<HttpAnswer> post(HttpRequest request);

  // Whatever waits or is under way is answered with a failure, and so is what comes later.
  void stop();

  std::size_t connections_opened() const noexcept;

 private:
  class Engine;
  std::unique_ptr<Engine> engine_;
};

}  // namespace mpr
