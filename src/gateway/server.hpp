// The gateway's front: listens, spreads WebSocket connections over io threads, and carries events
// of the pickup service to the socket that has to hear them.
//
// Lifecycle: construct; bind_service() (the service needs the sink first); start(); drain();
// join(). These are for the owner's thread, in this order; drain() and join() block. The EventSink
// part is for any thread. The server outlives the service, the methods and the store: their late
// answers are posted to its threads. It never closes a socket with code 1000 of its own accord.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "base/error.hpp"
#include "base/metrics.hpp"
#include "core/push_windows.hpp"
#include "pickup/event_sink.hpp"

namespace mpr {

class Methods;
class PickupService;

class Server final : public EventSink, public PushFeedback {
 public:
  struct Options {
    std::string bind = "127.0.0.1";             // an address or "localhost"
    std::uint16_t port = 3100;                  // 0: any free one
    unsigned io_threads = 0;                    // 0: as many as default_io_threads() says
    std::size_t max_connections = 100'000;      // more are answered with HTTP 503
    std::size_t max_frame_bytes = 32u << 20;    // one WebSocket message; larger: close 1009
    std::size_t max_message_bytes = 16u << 20;  // the payload of one DIDComm message
    std::size_t outbound_bytes = 8u << 20;  // waiting for one socket; over it events stay pending
    std::size_t calls_in_flight = 4096;     // of one socket; over it the socket is not read
    std::chrono::milliseconds call_timeout{1'800};    // clients give up after 2,000
    std::chrono::milliseconds ping_interval{10'000};  // of silence
    std::chrono::milliseconds dead_after{25'000};     // of silence: closed
    std::chrono::milliseconds handshake_timeout{5'000};
    std::chrono::milliseconds slow_reader_timeout{30'000};  // above outbound_bytes: closed
    std::chrono::milliseconds drain_timeout{5'000};
    std::string auth_token = {};  // empty: nobody has to log in
  };

  Server(Options options, Metrics& metrics);
  ~Server() override;
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  static unsigned default_io_threads() noexcept;

  // Both outlive the last io thread, that is: until join() returned.
  void bind_service(PickupService& service, Methods& methods);

  // Starts the threads, then listens; yields the actual port. Fails with `unavailable` when the
  // address cannot be had (the context names it).
  Result<std::uint16_t> start();

  // Stops accepting, tells subscribers of serverDraining, lets calls in hand finish and closes each
  // socket with 1012 as soon as its answers are written; whatever is left after drain_timeout is
  // cut. The threads go on, for the service's background work.
  void drain();

  // Waits (a second at most) for the service's background work, then ends the threads. Calls that
  // the store still holds are abandoned.
  void join();

  // How long ago the most silent io thread finished a turn; each turns at least every 100 ms when
  // it is well. Any thread.
  std::chrono::milliseconds longest_silence() const;

  // --- EventSink: any thread ----------------------------------------------------------------

  bool is_open(SocketId socket) const override;
  bool listens(SocketId socket) const override;
  Delivery deliver(SocketId holder, const Connection& connection,
                   std::span<const StoredMessage> messages) override;
  std::size_t deliver_to_subscribers(const Connection& connection,
                                     std::span<const StoredMessage> messages) override;
  void session_replaced(SocketId former_holder, const Connection& connection,
                        const SessionId& session_id) override;

  // --- PushFeedback: any thread -------------------------------------------------------------

  // pushTokenInvalid to every socket of the connection's tenant that subscribed to it.
  void push_token_invalid(const InvalidPushToken& token) override;

 private:
  class State;
  std::unique_ptr<State> state_;
};

}  // namespace mpr
