// Turns host names into addresses on a thread of its own, because getaddrinfo() blocks. Any thread
// may call. A Resolution may outlive the resolver, and both may outlive the io thread that waits.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/error.hpp"

namespace mpr {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;

  int family() const noexcept { return storage.ss_family; }
  const sockaddr* get() const noexcept { return reinterpret_cast<const sockaddr*>(&storage); }
};

// One question under way. Its descriptor becomes readable when the answer is there.
class Resolution {
 public:
  Resolution();
  ~Resolution();
  Resolution(const Resolution&) = delete;
  Resolution& operator=(const Resolution&) = delete;

  int fd() const noexcept { return fd_; }
  // Once, after fd() became readable. Fails with `unavailable`, naming the host.
  Result<std::vector<SocketAddress>> take();

 private:
  friend class Resolver;
  struct Slot;
  void set(Result<std::vector<SocketAddress>> outcome);

  const int fd_;
  std::unique_ptr<Slot> slot_;
};

class Resolver {
 public:
  Resolver();
  // Waits for the question that is being asked; the others are never answered.
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  std::shared_ptr<Resolution> resolve(std::string host, std::uint16_t port);

  // IP addresses need no resolving: yields one address, or nothing when `host` is a name.
  static std::vector<SocketAddress> numeric(const std::string& host, std::uint16_t port);

 private:
  class Worker;
  std::unique_ptr<Worker> worker_;
};

}  // namespace mpr
