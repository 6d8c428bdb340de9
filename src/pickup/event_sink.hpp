// Where the pickup service sends what a mediator has to hear at once; the gateway implements it.
#pragma once

#include <cstddef>
#include <span>

#include "core/ids.hpp"
#include "core/message.hpp"

namespace mpr {

enum class Delivery {
  accepted,  // queued for the socket, in the order of the calls
  full,  // the socket's outbound buffer is at its bound; socket_drained() follows when it is not
  gone,  // no such socket any more; socket_closed() follows or came already
};

// Thread-safe. Called while a shard's mutex is held: never blocks, never calls back.
class EventSink {
 public:
  virtual ~EventSink() = default;

  // Whether the socket is open. False from before socket_closed() is called for it.
  virtual bool is_open(SocketId socket) const = 0;

  // Whether the socket is among those of deliver_to_subscribers(), and PickupService has welcomed
  // it: PickupService::socket_subscribed() has returned.
  virtual bool listens(SocketId socket) const = 0;

  // One messagesReceived event to the holder of a live session.
  virtual Delivery deliver(SocketId holder, const Connection& connection,
                           std::span<const StoredMessage> messages) = 0;

  // The same event to every socket of the connection's tenant that subscribed to messagesReceived;
  // yields how many took it. For sessions whose own socket vanished.
  virtual std::size_t deliver_to_subscribers(const Connection& connection,
                                             std::span<const StoredMessage> messages) = 0;

  // liveSessionReplaced to the former holder, if it subscribed to that.
  virtual void session_replaced(SocketId former_holder, const Connection& connection,
                                const SessionId& session_id) = 0;
};

}  // namespace mpr
