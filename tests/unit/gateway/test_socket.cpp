#include "tests/unit/gateway/test_socket.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <stdexcept>

#include "net/http_head.hpp"
#include "net/websocket/handshake.hpp"

namespace mpr::test {

namespace {

using Kind = websocket::Event::Kind;

constexpr std::size_t kInputBytes = 65536;

int connect_to(std::uint16_t port, int receive_buffer) {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  const timeval patience{.tv_sec = 20, .tv_usec = 0};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  if (receive_buffer > 0) {
    ::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
  }
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_port = htons(port);
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd, reinterpret_cast<sockaddr*>(&name), sizeof name) != 0) {
    throw std::runtime_error("cannot connect");
  }
  return fd;
}

void send_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count <= 0) throw std::runtime_error("the server took nothing more");
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
}

// Byte by byte, so that no frame behind the head is swallowed.
std::string receive_head(int fd) {
  std::string head;
  char byte;
  while (http_head_bytes(head, head.size() > 4 ? head.size() - 4 : 0) == 0) {
    if (::recv(fd, &byte, 1, 0) != 1) throw std::runtime_error("no answer to the handshake");
    head += byte;
  }
  return head;
}

}  // namespace

TestSocket::TestSocket(std::uint16_t port, std::string_view target, std::string_view token,
                       int receive_buffer)
    : fd_(connect_to(port, receive_buffer)), input_(std::make_unique<char[]>(kInputBytes)) {
  const std::string key = websocket::make_client_key();
  send_all(fd_, websocket::client_request("localhost", target, key, token));
  const auto head = parse_response_head(receive_head(fd_));
  if (!head) throw std::runtime_error(head.error().context);
  if (const auto ok = websocket::check_server_response(*head, key); !ok) {
    throw std::runtime_error(ok.error().context);
  }
}

TestSocket::~TestSocket() { ::close(fd_); }

void TestSocket::send(std::string_view text) { send_frame(websocket::Opcode::text, text); }

void TestSocket::send_frame(websocket::Opcode opcode, std::string_view payload) {
  std::string bytes;
  writer_.append(bytes, opcode, payload);
  send_all(fd_, bytes);
}

void TestSocket::send_raw(std::string_view bytes) { send_all(fd_, bytes); }

TestSocket::Received TestSocket::receive() {
  for (;;) {
    const websocket::Event event = reader_.next();
    if (event.kind != Kind::need_more) return {event.kind, std::string(event.payload), event.code};
    const ssize_t count = ::recv(fd_, input_.get(), kInputBytes, 0);
    if (count <= 0) return {};
    reader_.feed({input_.get(), static_cast<std::size_t>(count)});
  }
}

std::string TestSocket::receive_text() {
  for (;;) {
    Received received = receive();
    if (received.kind == Kind::ping) {
      send_frame(websocket::Opcode::pong, received.text);
      continue;
    }
    EXPECT_EQ(static_cast<int>(received.kind), static_cast<int>(Kind::message));
    return std::move(received.text);
  }
}

websocket::CloseCode TestSocket::receive_close() {
  for (;;) {
    const Received received = receive();
    if (received.kind == Kind::close || received.kind == Kind::need_more) return received.code;
  }
}

std::string TestSocket::call(std::string_view method, std::string_view params) {
  send_call(method, params, std::to_string(++calls_));
  return receive_text();
}

void TestSocket::send_call(std::string_view method, std::string_view params, std::string_view id) {
  std::string text = R"({"jsonrpc":"2.0","method":")" + std::string(method) + R"(","params":)";
  text += params;
  text += R"(,"id":)";
  text += id;
  send(text + "}");
}

std::string send_and_receive_all(std::uint16_t port, std::string_view bytes) {
  const int fd = connect_to(port, 0);
  send_all(fd, bytes);
  std::string all;
  std::array<char, 4096> input;
  for (;;) {
    const ssize_t count = ::recv(fd, input.data(), input.size(), 0);
    if (count <= 0) break;
    all.append(input.data(), static_cast<std::size_t>(count));
  }
  ::close(fd);
  return all;
}

}  // namespace mpr::test
