#include "ops/ops_server.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <string>

#include "ops_fixture.hpp"

namespace mpr {
namespace {

// A blocking TCP connection to a port of this machine.
class Socket {
 public:
  explicit Socket(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = ::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  }
  ~Socket() { ::close(fd_); }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  bool connected() const { return connected_; }

  // Sends a request that asks for the end of the connection, and reads until then.
  std::string exchange(const std::string& method, const std::string& target) {
    const std::string request =
        method + " " + target + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    EXPECT_EQ(::send(fd_, request.data(), request.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(request.size()));
    std::string answer;
    std::array<char, 4096> piece;
    for (ssize_t n = 0; (n = ::recv(fd_, piece.data(), piece.size(), 0)) > 0;) {
      answer.append(piece.data(), static_cast<std::size_t>(n));
    }
    return answer;
  }

 private:
  const int fd_;
  bool connected_ = false;
};

class OpsServerTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto port = server_.start("127.0.0.1", 0);
    ASSERT_TRUE(port) << port.error().context;
    port_ = *port;
  }
  std::string answer(const std::string& method, const std::string& target) {
    return Socket(port_).exchange(method, target);
  }

  test::OpsFixture node_;
  Pages pages_ = node_.pages();
  OpsServer server_{pages_};
  std::uint16_t port_ = 0;
};

TEST_F(OpsServerTest, AnswersEveryPage) {
  EXPECT_TRUE(answer("GET", "/healthz").starts_with("HTTP/1.1 200 OK\r\n"));
  EXPECT_TRUE(answer("GET", "/healthz").ends_with("\r\n\r\nok\n"));
  EXPECT_TRUE(answer("GET", "/readyz").ends_with("{\"ready\":true,\"reasons\":[]}\n"));
  EXPECT_NE(answer("GET", "/metrics").find("\nmpr_messages_added_total 0\n"), std::string::npos);
  EXPECT_NE(answer("GET", "/status.json").find("{\"version\":\"1.2.3\""), std::string::npos);
  EXPECT_NE(answer("GET", "/").find("<!doctype html>"), std::string::npos);
}

TEST_F(OpsServerTest, AnswersHeadWithoutABody) {
  const std::string head = answer("HEAD", "/readyz");
  EXPECT_TRUE(head.starts_with("HTTP/1.1 200 OK\r\n"));
  EXPECT_TRUE(head.ends_with("\r\n\r\n"));
}

TEST_F(OpsServerTest, RefusesOtherMethodsAndPaths) {
  EXPECT_TRUE(answer("POST", "/healthz").starts_with("HTTP/1.1 405 "));
  EXPECT_TRUE(answer("DELETE", "/").starts_with("HTTP/1.1 405 "));
  EXPECT_TRUE(answer("GET", "/nothing").starts_with("HTTP/1.1 404 "));
}

TEST_F(OpsServerTest, SaysThatAPortIsTaken) {
  OpsServer second(pages_);
  const auto port = second.start("127.0.0.1", port_);
  ASSERT_FALSE(port);
  EXPECT_EQ(port.error().code, Errc::unavailable);
  EXPECT_NE(port.error().context.find(std::to_string(port_)), std::string::npos)
      << port.error().context;
}

TEST_F(OpsServerTest, IsGoneAfterStop) {
  server_.stop();
  server_.stop();
  EXPECT_FALSE(Socket(port_).connected());
}

}  // namespace
}  // namespace mpr
