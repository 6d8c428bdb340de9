// The socket under an RpcClient: connect, TLS, handshake, frames in, frames out. Kept apart so that
// Asio's headers stay out of rpc_client.hpp. Lives as long as the client or any of its operations
// in the event loop; one thread.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "client/incoming.hpp"
#include "client/rpc_client.hpp"
#include "net/websocket/frame_reader.hpp"
#include "net/websocket/frame_writer.hpp"

namespace mpr::client {

class RpcClient::Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(boost::asio::io_context& io, Options options);

  void set_on_event(EventHandler handler) { on_event_ = std::move(handler); }
  void set_on_close(CloseHandler handler) { on_close_ = std::move(handler); }

  void connect(const Url& url, ConnectHandler done);
  bool open() const noexcept { return state_ == State::open; }
  bool certificate_refused() const noexcept { return certificate_refused_; }
  void call(std::string_view method, std::string_view params, AnswerHandler done);
  std::size_t unanswered() const noexcept { return calls_.size() - free_slots_.size(); }
  void close();
  // Closes without telling anybody.
  void abandon();

 private:
  using Tcp = boost::asio::ip::tcp;
  enum class State { idle, connecting, securing, shaking_hands, open, closed };
  // A call that waits for its answer. The slot's index and generation make its id, so that an
  // answer that comes twice matches nothing.
  struct Slot {
    AnswerHandler done;
    std::uint64_t generation = 0;
  };

  void connect_to(const Tcp::resolver::results_type& addresses);
  void begin_on_socket();
  void secure();
  void shake_hands();
  void read_handshake(std::string_view bytes);
  void finish_connect(Result<void> outcome);

  void wait_readable();
  void on_readable();
  // False: the connection ended.
  bool read_once(bool& more);
  void read_encrypted(std::span<char> buffer, std::size_t bytes);
  void read_plain(std::span<char> bytes);
  void read_frames(std::span<char> bytes);
  void read_message(std::string_view text);
  void answer(const Incoming& incoming);

  std::uint64_t take_slot(AnswerHandler done);
  void flush_at_end_of_turn();
  void flush();
  void wait_writable();

  void lose(std::string reason);
  void fail_calls(std::string_view reason);

  boost::asio::io_context& io_;
  const Options options_;
  Tcp::socket socket_;
  Tcp::resolver resolver_;
  Url url_;
  std::optional<TlsStream> tls_;  // of a wss:// address
  bool certificate_refused_ = false;
  std::string handshake_key_;
  std::string handshake_;  // the server's answer as far as it came
  ConnectHandler on_connect_;
  EventHandler on_event_;
  CloseHandler on_close_;
  State state_ = State::idle;

  websocket::FrameReader reader_;
  websocket::ClientFrameWriter writer_;
  IncomingReader incoming_;
  std::string request_;  // the call being written
  std::string outbox_;
  std::size_t sent_ = 0;  // bytes that the kernel took of outbox_, with TLS of what tls_ has made
  bool reading_ = false;  // inside on_readable(), which flushes at its end
  bool flush_due_ = false;
  bool waiting_writable_ = false;

  std::vector<Slot> calls_;
  std::vector<std::size_t> free_slots_;
};

}  // namespace mpr::client
