// A WebSocket server for one client, on the loopback interface and on the test's own event loop:
// the test says what it answers, byte for byte if need be.
#pragma once

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <functional>
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
      : acceptor_(io, Tcp::endpoint(boost::asio::ip::address_v4::loopback(), 0)), socket_(io) {
    acceptor_.async_accept(socket_, [this](const boost::system::error_code& error) {
      if (!error) read();
    });
  }

  Url url() const { return {"127.0.0.1", acceptor_.local_endpoint().port(), "/"}; }

  // Called with every text message of the client.
  std::function<void(std::string_view text)> on_message = [](std::string_view) {};
  // What to answer instead of a correct handshake; empty: the correct one.
  std::string handshake_answer;
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

  std::vector<std::string> pongs;
  std::vector<websocket::CloseCode> closes;
  std::size_t reads = 0;  // how often bytes came after the handshake

 private:
  void read() {
    socket_.async_read_some(boost::asio::buffer(buffer_),
                            [this](const boost::system::error_code& error, std::size_t bytes) {
                              if (error) return;
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
    if (http_head_bytes(head_, 0) == 0) return;
    open_ = true;
    const auto request = parse_request_head(head_);
    const auto answer = websocket::answer_upgrade(*request);
    const auto* upgrade = std::get_if<websocket::Upgrade>(&answer);
    const std::string response = handshake_answer.empty() ? upgrade->response : handshake_answer;
    send_bytes(response + behind_handshake);
  }

  void take(std::span<char> bytes) {
    reader_.feed(bytes);
    for (;;) {
      const websocket::Event event = reader_.next();
      if (event.kind == websocket::Event::Kind::need_more) return;
      if (event.kind == websocket::Event::Kind::message) on_message(event.payload);
      if (event.kind == websocket::Event::Kind::pong) pongs.emplace_back(event.payload);
      if (event.kind == websocket::Event::Kind::close) closes.push_back(event.code);
    }
  }

  Tcp::acceptor acceptor_;
  Tcp::socket socket_;
  bool open_ = false;
  std::string head_;
  std::vector<char> buffer_ = std::vector<char>(65536);
  websocket::FrameReader reader_{websocket::Role::server, 1 << 20};
};

}  // namespace mpr::client
