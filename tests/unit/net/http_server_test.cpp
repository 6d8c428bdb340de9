#include "net/http_server.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <future>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "net/io_thread.hpp"
#include "net/listener.hpp"

namespace mpr {
namespace {

using namespace std::chrono_literals;

// A blocking client that reads until the server closes.
class Client {
 public:
  explicit Client(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_port = htons(port);
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const timeval patience{.tv_sec = 20, .tv_usec = 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    EXPECT_EQ(::connect(fd_, reinterpret_cast<sockaddr*>(&name), sizeof name), 0);
  }
  ~Client() { ::close(fd_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void send(std::string_view text) {
    EXPECT_EQ(::send(fd_, text.data(), text.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(text.size()));
  }
  std::string receive_all() {
    std::string all;
    std::array<char, 4096> bytes;
    for (;;) {
      const ssize_t count = ::recv(fd_, bytes.data(), bytes.size(), 0);
      if (count <= 0) return all;
      all.append(bytes.data(), static_cast<std::size_t>(count));
    }
  }

 private:
  const int fd_;
};

// A server that answers with the target, on a thread of its own.
class HttpServerTest : public ::testing::Test {
 protected:
  explicit HttpServerTest(HttpServer::Limits limits = {})
      : server_(
            thread_,
            [](const HttpRequest& request) {
              if (request.target == "/throw") throw std::runtime_error("a bug in a page");
              return HttpResponse{.body = request.method + " " + request.target + "\n"};
            },
            limits) {
    port_ = server_.listen("127.0.0.1", 0).value();
    thread_.start();
  }
  ~HttpServerTest() override {
    thread_.stop();
    thread_.join();
  }
  // The answers to everything in `requests`, which ends by asking to close.
  std::string ask(const std::string& requests) {
    Client client(port_);
    client.send(requests);
    return client.receive_all();
  }

  IoThread thread_{"test-http"};
  HttpServer server_;
  std::uint16_t port_ = 0;
};

std::string body_of(const std::string& response) {
  return response.substr(response.find("\r\n\r\n") + 4);
}

TEST_F(HttpServerTest, AnswersFromItsHandler) {
  const std::string response = ask("GET /a?b=c HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_TRUE(response.starts_with("HTTP/1.1 200 OK\r\n")) << response;
  EXPECT_NE(response.find("\r\nContent-Length: 11\r\n"), std::string::npos);
  EXPECT_EQ(body_of(response), "GET /a?b=c\n");
}

TEST_F(HttpServerTest, AnswersSeveralRequestsOnOneConnection) {
  const std::string response =
      ask("GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\nGET /3 HTTP/1.0\r\n\r\n");
  EXPECT_NE(response.find("GET /1\n"), std::string::npos);
  EXPECT_NE(response.find("GET /2\n"), std::string::npos);
  EXPECT_TRUE(response.ends_with("GET /3\n"));
}

TEST_F(HttpServerTest, LeavesTheBodyOutOfTheAnswerToHead) {
  const std::string response = ask("HEAD /a HTTP/1.1\r\nConnection: close\r\n\r\n");
  EXPECT_NE(response.find("\r\nContent-Length: 8\r\n"), std::string::npos);
  EXPECT_EQ(body_of(response), "");
}

TEST_F(HttpServerTest, RefusesEverythingElseWithTheStatusThatFits) {
  const auto status = [this](const std::string& request) { return ask(request).substr(9, 3); };
  EXPECT_EQ(status("POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nab"), "405");
  EXPECT_EQ(status("DELETE / HTTP/1.1\r\n\r\n"), "405");
  EXPECT_EQ(status("GET / HTTP/1.1\r\nContent-Length: 2\r\n\r\nab"), "400");
  EXPECT_EQ(status("nonsense\r\n\r\n"), "400");
  EXPECT_EQ(status("GET /" + std::string(9000, 'x') + " HTTP/1.1\r\n\r\n"), "431");
  EXPECT_EQ(status("GET / HTTP/1.1\r\nX: " + std::string(20'000, 'x')), "431");
}

TEST_F(HttpServerTest, AnswersAPageThatThrowsWith500AndGoesOn) {
  EXPECT_TRUE(ask("GET /throw HTTP/1.0\r\n\r\n").starts_with("HTTP/1.1 500 "));
  EXPECT_TRUE(ask("GET / HTTP/1.0\r\n\r\n").starts_with("HTTP/1.1 200 "));
}

TEST_F(HttpServerTest, SaysWhichAddressItCannotHave) {
  HttpServer second(thread_, [](const HttpRequest&) { return HttpResponse{}; });
  std::promise<Result<std::uint16_t>> outcome;
  thread_.run([&] { outcome.set_value(second.listen("127.0.0.1", port_)); });
  const auto listened = outcome.get_future().get();
  ASSERT_FALSE(listened.has_value());
  EXPECT_EQ(listened.error().context,
            "cannot listen on 127.0.0.1:" + std::to_string(port_) + ": Address already in use");
}

class ImpatientHttpServerTest : public HttpServerTest {
 protected:
  ImpatientHttpServerTest()
      : HttpServerTest({.connections = 2, .idle_timeout = 2s, .request_timeout = 1s}) {}
};

TEST_F(ImpatientHttpServerTest, CutsAClientThatDoesNotGoOn) {
  EXPECT_EQ(ask("GET / HT"), "");
  EXPECT_EQ(ask(""), "");
}

TEST_F(ImpatientHttpServerTest, AnswersTooManyConnectionsWith503) {
  Client first(port_);
  Client second(port_);
  Client third(port_);
  EXPECT_EQ(third.receive_all().substr(0, 12), "HTTP/1.1 503");
}

TEST(Listener, TakesAddressesOfBothFamiliesAndNoNames) {
  EXPECT_TRUE(Listener::open("127.0.0.1", 0).has_value());
  EXPECT_TRUE(Listener::open("localhost", 0).has_value());
  EXPECT_GT(Listener::open("0.0.0.0", 0)->port(), 0);
  const auto named = Listener::open("gateway.example", 0);
  ASSERT_FALSE(named.has_value());
  EXPECT_EQ(named.error().code, Errc::unavailable);
  EXPECT_TRUE(named.error().context.starts_with("cannot listen on gateway.example:0: "));
}

// With no descriptor left a waiting connection is closed at once: it would keep the loop spinning.
TEST(Listener, ClosesConnectionsWhenDescriptorsHaveRunOut) {
  Listener listener = Listener::open("127.0.0.1", 0).value();
  Client client(listener.port());
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit few = before;
  few.rlim_cur = 256;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
  std::vector<int> used;
  for (int fd = ::dup(0); fd >= 0; fd = ::dup(0)) used.push_back(fd);
  const int first = listener.accept();
  for (const int fd : used) ::close(fd);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_EQ(first, -1);
  EXPECT_EQ(client.receive_all(), "");
  Client second(listener.port());
  const int accepted = listener.accept();
  EXPECT_GE(accepted, 0) << "it goes on";
  ::close(accepted);
}

}  // namespace
}  // namespace mpr
