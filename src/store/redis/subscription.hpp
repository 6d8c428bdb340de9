// One channel that the client listens to, on a connection of its own: it subscribes on the node
// that serves the channel, and anew whenever the connection breaks or the channel's slot moves.
//
// Belongs to the client's own lane.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "store/redis/lane.hpp"
#include "store/redis/link.hpp"
#include "store/redis/shared.hpp"

namespace mpr::redis {

class Subscription final : private LinkUser {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  using OnMessage = std::function<void(std::string_view payload)>;
  using OnConnected = std::function<void()>;

  Subscription(Lane& lane, std::string channel, OnMessage on_message, OnConnected on_connected);

  // At each tick of the lane.
  void look();

 private:
  void on_open() override;
  void on_value(Value value) override;
  void on_read() override;
  void on_lost(std::string reason, std::uint64_t gone) override;

  void connect();
  std::optional<ServerAddress> owner() const;
  void on_error(const std::string& text);
  // Closes the connection and connects again after `delay`.
  void again(std::chrono::milliseconds delay);
  std::chrono::milliseconds next_delay();

  Lane& lane_;
  const std::string channel_;
  const std::uint16_t slot_;
  const OnMessage on_message_;
  const OnConnected on_connected_;
  Link link_;
  bool standing_ = false;
  bool complained_ = false;
  // Where a redirection says that the channel is; until the connection breaks.
  std::optional<ServerAddress> moved_to_;
  ServerAddress connected_to_;
  std::uint64_t map_version_ = 0;  // when the connection was made
  unsigned failures_ = 0;
  TimePoint retry_at_{};
  TimePoint next_ping_{};
};

}  // namespace mpr::redis
