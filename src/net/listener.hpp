// Opens a listening TCP socket, and accepts from it without ever blocking or spinning.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.hpp"

namespace mpr {

class Listener {
 public:
  // `address` is an IPv4 or IPv6 address or "localhost"; port 0 takes a free one. Fails with
  // `unavailable`; the context names address and reason.
  static Result<Listener> open(const std::string& address, std::uint16_t port);

  Listener(Listener&& other) noexcept;
  Listener& operator=(Listener&& other) noexcept;
  ~Listener();

  int fd() const noexcept { return fd_; }
  std::uint16_t port() const noexcept { return port_; }

  // The next connection, non-blocking and without Nagle's delay, or -1 when none waits. When the
  // process is out of descriptors the connection is accepted and closed, so that the peer learns
  // of it at once and the loop does not spin.
  int accept();

 private:
  Listener(int fd, std::uint16_t port, int spare);
  void close();

  int fd_ = -1;
  std::uint16_t port_ = 0;
  int spare_ = -1;  // a descriptor to give up when there are no more
};

// The peer of a connected socket as "127.0.0.1:40000" or "[::1]:40000"; "unknown" when it is gone.
std::string peer_address(int fd);

}  // namespace mpr
