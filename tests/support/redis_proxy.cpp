#include "tests/support/redis_proxy.hpp"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <stdexcept>
#include <utility>

namespace mpr::test {

namespace {

constexpr int kPollMs = 5;

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

sockaddr* generic(sockaddr_in& address) {
  return reinterpret_cast<sockaddr*>(&address);  // NOLINT: as the socket API wants it
}

void reset(int& fd) {
  if (fd < 0) return;
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  ::close(std::exchange(fd, -1));
}

bool send_all(int fd, const std::string& bytes) {
  for (std::size_t sent = 0; sent < bytes.size();) {
    const ssize_t count = ::send(fd, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (count <= 0) return false;
    sent += static_cast<std::size_t>(count);
  }
  return true;
}

// Empty: the other side is gone.
std::string receive(int fd) {
  std::array<char, 1 << 16> buffer;
  const ssize_t count = ::recv(fd, buffer.data(), buffer.size(), 0);
  return count <= 0 ? std::string() : std::string(buffer.data(), static_cast<std::size_t>(count));
}

}  // namespace

RedisProxy::RedisProxy(std::uint16_t server_port) : server_port_(server_port) {
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = loopback(0);
  socklen_t length = sizeof address;
  if (::bind(listener_, generic(address), length) != 0 || ::listen(listener_, 64) != 0 ||
      ::getsockname(listener_, generic(address), &length) != 0) {
    throw std::runtime_error("the proxy cannot listen");
  }
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { run(); });
}

RedisProxy::~RedisProxy() {
  stop_ = true;
  thread_.join();
  ::close(listener_);
  for (Relay& relay : relays_) {
    reset(relay.client);
    reset(relay.server);
  }
  reset(delayed_to_);
}

void RedisProxy::lose_answers_to(std::string word, int times) {
  std::lock_guard lock(mutex_);
  word_ = std::move(word);
  fate_ = Fate::lose_answer;
  times_ = times;
}

void RedisProxy::delay(std::string word) {
  std::lock_guard lock(mutex_);
  word_ = std::move(word);
  fate_ = Fate::delay;
  times_ = 1;
}

bool RedisProxy::deliver() {
  std::lock_guard lock(mutex_);
  const std::string bytes = std::exchange(delayed_, {});
  const bool taken = send_all(delayed_to_, bytes) && !receive(delayed_to_).empty();
  reset(delayed_to_);
  return taken;
}

void RedisProxy::run() {
  while (!stop_) {
    std::vector<pollfd> watched = {{listener_, POLLIN, 0}};
    for (const Relay& relay : relays_) {
      watched.push_back({relay.client, POLLIN, 0});
      watched.push_back({relay.server, POLLIN, 0});
    }
    if (::poll(watched.data(), watched.size(), kPollMs) <= 0) continue;
    for (std::size_t i = 0; i < relays_.size(); ++i) {
      Relay& relay = relays_[i];
      const bool ended = (watched[2 * i + 1].revents != 0 && !from_client(relay)) ||
                         (watched[2 * i + 2].revents != 0 && !from_server(relay));
      if (!ended) continue;
      reset(relay.client);
      reset(relay.server);
    }
    std::erase_if(relays_, [](const Relay& relay) { return relay.client < 0; });
    if (watched[0].revents != 0) accept_one();
  }
}

void RedisProxy::accept_one() {
  Relay relay;
  relay.client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
  if (relay.client < 0) return;
  relay.server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = loopback(server_port_);
  if (::connect(relay.server, generic(address), sizeof address) == 0) {
    return relays_.push_back(relay);
  }
  reset(relay.client);
  reset(relay.server);
}

RedisProxy::Fate RedisProxy::fate_of(const std::string& bytes) {
  std::lock_guard lock(mutex_);
  if (times_ == 0 || bytes.find(word_) == std::string::npos) return Fate::forward;
  --times_;
  ++met_;
  return fate_;
}

bool RedisProxy::from_client(Relay& relay) {
  std::string bytes = receive(relay.client);
  if (bytes.empty()) return false;
  switch (fate_of(bytes)) {
    case Fate::forward:
      break;
    case Fate::lose_answer:
      relay.doomed = true;
      break;
    case Fate::delay: {
      std::lock_guard lock(mutex_);
      delayed_ = std::move(bytes);
      delayed_to_ = std::exchange(relay.server, -1);
      return false;
    }
  }
  return send_all(relay.server, bytes);
}

bool RedisProxy::from_server(Relay& relay) {
  if (relay.server < 0) return false;
  const std::string bytes = receive(relay.server);
  return !bytes.empty() && !relay.doomed && send_all(relay.client, bytes);
}

}  // namespace mpr::test
