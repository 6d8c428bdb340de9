// A blocking WebSocket client for tests. Whatever does not come within 20 s is a failure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "net/websocket/frame_reader.hpp"
#include "net/websocket/frame_writer.hpp"

namespace mpr::test {

class TestSocket {
 public:
  // Connects and shakes hands; a small `receive_buffer` lets the server notice soon that nobody
  // reads. Throws if the server refuses.
  explicit TestSocket(std::uint16_t port, std::string_view target = "/",
                      std::string_view token = {}, int receive_buffer = 0);
  ~TestSocket();
  TestSocket(const TestSocket&) = delete;
  TestSocket& operator=(const TestSocket&) = delete;

  struct Received {
    websocket::Event::Kind kind = websocket::Event::Kind::need_more;  // the server is gone
    std::string text;
    websocket::CloseCode code = websocket::CloseCode::none;
  };

  void send(std::string_view text);
  void send_frame(websocket::Opcode opcode, std::string_view payload);
  void send_raw(std::string_view bytes);

  // The next frame of whatever kind.
  Received receive();
  // The next text message; pings are answered on the way, anything else is a failure.
  std::string receive_text();
  // Reads until the server closes; yields its close code, or none if there was no close frame.
  websocket::CloseCode receive_close();

  // One call; `params` is JSON. Yields the next text message, which is the answer if nothing else
  // is under way.
  std::string call(std::string_view method, std::string_view params = "{}");
  void send_call(std::string_view method, std::string_view params, std::string_view id);

 private:
  const int fd_;
  websocket::FrameReader reader_{websocket::Role::client, std::size_t{1} << 30};
  websocket::ClientFrameWriter writer_;
  std::unique_ptr<char[]> input_;
  int calls_ = 0;
};

// Sends bytes to the port and yields everything that comes back until the end.
std::string send_and_receive_all(std::uint16_t port, std::string_view bytes);

}  // namespace mpr::test
