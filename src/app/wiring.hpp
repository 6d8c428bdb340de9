// One running MPR: makes every part, gives each what it needs, and takes them down in order. The
// only place that names every adapter.
//
// For the main thread. A Node that start() yielded serves until drain() or its destruction.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "app/settings.hpp"
#include "base/error.hpp"
#include "core/ids.hpp"

namespace mpr {

class Node {
 public:
  // Opens the store, takes over the sessions of the process before, and listens. Fails with a
  // reason that names what cannot be had (a port, the data directory); nothing stays open then.
  // `warnings` are shown on the status page.
  static Result<std::unique_ptr<Node>> start(const Settings& settings,
                                             std::vector<std::string> warnings);
  ~Node();
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  std::uint16_t ws_port() const noexcept;
  std::uint16_t app_port() const noexcept;

  // How other gateways and their logs name this one; another one after each start.
  const GatewayId& gateway() const noexcept;

  // Live sessions that were open when the process before ended; they wait for their mediators.
  std::size_t restored_sessions() const noexcept;

  // Not ready from now on; takes no new connections, finishes the calls in hand, closes each socket
  // with 1012, ends all threads. Bounded by the drain timeout plus two seconds, and by another
  // drain timeout if push providers do not answer. False: background work still waits for Redis or
  // MongoDB, so that the node must not be destroyed; the process may end.
  [[nodiscard]] bool drain();

 private:
  class Parts;
  explicit Node(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace mpr
