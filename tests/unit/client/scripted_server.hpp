// A WebSocket server on the loopback interface and on the test's own event loop: the test says what
// it answers, byte for byte if need be. It speaks to one client at a time, the newest.
#pragma once

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <functional>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "client/url.hpp"
#include "net/websocket/frame_reader.hpp"
#include "net/websocket/frame_writer.hpp"
#include "net/websocket/handshake.hpp"

namespace mpr::client {

class ScriptedServer {
 public:
  using Tcp = boost::asio::ip::tcp;

  explicit ScriptedServer(boost::asio::io_context& io)
      : acceptor_(io, Tcp::endpoint(boost::asio::ip::address_v4::loopback(), 0)),
        port_(acceptor_.local_endpoint().port()),
        socket_(io) {
    accept();
  }

  Url url() const { return {"127.0.0.1", port_, "/"}; }

  // Called with every text message of the client.
  std::function<void(std::string_view text)> on_message = [](std::string_view) {};
  // What to answer instead of a correct handshake; empty: the correct one.
  std::string handshake_answer;
  // While set, handshakes are not answered; see answer_handshake().
  bool holds_handshakes = false;
  // Sent in the same write as the handshake's answer.
  std::string behind_handshake;

  void send_text(std::string_view text) {
    std::string frame;
    websocket::append_server_frame(frame, websocket::Opcode::text, text);
    send_bytes(frame);
  }
  void send_bytes(std::string_view bytes) {
    boost::system::error_code ignored;
    boost::asio::write(socket_, boost::asio::buffer(bytes), ignored);
  }
  void drop() { socket_.close(); }
  // From now on connecting is refused.
  void stop_listening() { acceptor_.close(); }
  void answer_handshake() {
    holds_handshakes = false;
    if (!open_ && http_head_bytes(head_, 0) > 0) shake_hands({});
  }

  std::vector<std::string> pongs;
  std::vector<websocket::CloseCode> closes;
  std::size_t reads = 0;                // how often bytes came after the handshake
  std::vector<std::string> handshakes;  // the heads of the requests that were answered

 private:
  void accept() {
    acceptor_.async_accept([this](const boost::system::error_code& error, Tcp::socket socket) {
      if (error) return;
      socket_ = std::move(socket);
      ++connection_;
      open_ = false;
      head_.clear();
      reader_.emplace(websocket::Role::server, kMaxMessageBytes);
      read();
      accept();
    });
  }

  void read() {
    socket_.async_read_some(boost::asio::buffer(buffer_),
                            [this, connection = connection_](const boost::system::error_code& error,
                                                             std::size_t bytes) {
                              if (error || connection != connection_) return;
                              if (open_) {
                                ++reads;
                                take(std::span(buffer_.data(), bytes));
                              } else {
                                shake_hands({buffer_.data(), bytes});
                              }
                              if (socket_.is_open()) read();
                            });
  }

  void shake_hands(std::string_view bytes) {
    head_ += bytes;
    if (http_head_bytes(head_, 0) == 0 || holds_handshakes) return;
    open_ = true;
    handshakes.push_back(head_);
    const auto request = parse_request_head(head_);
    const auto answer = websocket::answer_upgrade(*request);
    const auto* upgrade = std::get_if<websocket::Upgrade>(&answer);
    const std::string response = handshake_answer.empty() ? upgrade->response : handshake_answer;
    send_bytes(response + behind_handshake);
  }

  void take(std::span<char> bytes) {
    reader_->feed(bytes);
    while (socket_.is_open()) {
      const websocket::Event event = reader_->next();
      if (event.kind == websocket::Event::Kind::need_more) return;
      if (event.kind == websocket::Event::Kind::message) on_message(event.payload);
      if (event.kind == websocket::Event::Kind::pong) pongs.emplace_back(event.payload);
      if (event.kind == websocket::Event::Kind::close) closes.push_back(event.code);
    }
  }

  static constexpr std::size_t kMaxMessageBytes = 1 << 20;

  Tcp::acceptor acceptor_;
  const std::uint16_t port_;
  Tcp::socket socket_;
  std::uint64_t connection_ = 0;  // counts them
  bool open_ = false;
  std::string head_;
  std::vector<char> buffer_ = std::vector<char>(65536);
  std::optional<websocket::FrameReader> reader_;
};

}  // namespace mpr::client
