// A JSON-RPC 2.0 client over one WebSocket that pipelines: any number of calls may be unanswered at
// a time, everything called in one turn of the event loop leaves in one write, and answers are
// matched by id in whatever order they come.
//
// Everything happens on the one thread that runs the io_context: calls, callbacks and destruction.
// The io_context outlives the client. The client never reconnects, never repeats a call and never
// times one out: it cannot know whether a call may be repeated, and its caller can.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "client/url.hpp"
#include "net/tls.hpp"

namespace boost::asio {
class io_context;
}

namespace mpr::client {

// How a call ended. The text lives until the callback returns.
struct Answer {
  enum class Kind {
    result,  // text: the result, raw JSON
    error,   // text: the error object, raw JSON
    lost,    // text: why the connection ended; the call may or may not have been carried out
  };
  Kind kind = Kind::lost;
  std::string_view text;
};

// A notification from the server. The texts live until the callback returns.
struct Event {
  std::string_view method;
  std::string_view params;  // raw JSON
};

class RpcClient {
 public:
  struct Options {
    std::size_t max_message_bytes = std::size_t{256} << 20;  // larger: the connection is closed
    std::string bearer_token;                                // empty: none is sent
    std::shared_ptr<TlsContext> tls{};  // for wss:// addresses; without it they cannot be reached
    std::string server_name{};  // in the server's certificate; empty: the host of the address
  };
  using ConnectHandler = std::move_only_function<void(Result<void>)>;
  using AnswerHandler = std::move_only_function<void(const Answer&)>;
  using EventHandler = std::move_only_function<void(const Event&)>;
  using CloseHandler = std::move_only_function<void(const Error&)>;

  RpcClient(boost::asio::io_context& io, Options options);
  // Closes at once; callbacks that are still due are dropped without being called.
  ~RpcClient();
  RpcClient(const RpcClient&) = delete;
  RpcClient& operator=(const RpcClient&) = delete;

  void on_event(EventHandler handler);
  // Called once when an open connection ends, after every unanswered call heard Kind::lost. Not
  // called for close().
  void on_close(CloseHandler handler);

  // Connects and shakes hands; `done` is called exactly once. At most one connect per client.
  void connect(const Url& url, ConnectHandler done);
  bool open() const noexcept;
  // Whether connect() failed because the server's certificate is not accepted.
  bool certificate_refused() const noexcept;

  // Sends a call; `params` is raw JSON, or empty for none, and is copied. `done` is called exactly
  // once, never from inside call(). The caller bounds how many calls are unanswered.
  void call(std::string_view method, std::string_view params, AnswerHandler done);
  std::size_t unanswered() const noexcept;

  // Says goodbye (1001) and closes; calls in flight hear Kind::lost.
  void close();

 private:
  class Connection;
  std::shared_ptr<Connection> connection_;
};

}  // namespace mpr::client
