// The sockets of one io thread as other threads see them: who is open, who listens to which event,
// how much waits to be written; and a mailbox through which other threads send frames.
//
// Frames reach a socket in the order in which they were sent here. Nothing here blocks for long:
// one mutex, held for a few lookups.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "core/ids.hpp"
#include "gateway/outbox.hpp"
#include "pickup/event_sink.hpp"

namespace mpr {

// The events that a socket may listen to, as bits in the order of rpc::event_names().
using EventMask = std::uint32_t;

// What other threads may know of a socket. The object stays where it is until remove().
struct SocketAccount {
  SocketId id;
  TenantId tenant;
  // Bytes that wait: in the mailbox, and in the outbox when the last flush left something there.
  std::atomic<std::size_t> outbound_bytes = 0;
  // Somebody was told `full` and waits for socket_drained().
  std::atomic<bool> wants_drained = false;
  std::atomic<EventMask> events = 0;
  // The service was told of its present subscription to messagesReceived.
  std::atomic<bool> welcomed = false;
  bool open = false;  // guarded by the directory's mutex
};

class SocketDirectory {
 public:
  // `wake` makes the io thread call fetch() soon.
  SocketDirectory(std::uint8_t thread, std::size_t outbound_bytes, std::function<void()> wake);

  // --- the io thread --------------------------------------------------------------------------

  // A new id, never used before. Nothing can be sent to it before open() and after close().
  SocketAccount& add(TenantId tenant);
  void open(SocketAccount& account);
  void close(SocketAccount& account);
  void remove(SocketAccount& account);
  void set_events(SocketAccount& account, EventMask events);

  struct Parcel {
    SocketId to;
    SharedText text;  // of one text message
  };
  // Whether fetch() would find something; sees all that was sent before in the caller's order.
  bool has_mail() const noexcept { return has_mail_.load(std::memory_order_acquire); }
  // Swaps the mailbox with `parcels`, which is empty.
  void fetch(std::vector<Parcel>& parcels);

  // --- any thread -----------------------------------------------------------------------------

  bool is_open(SocketId id) const;
  // Whether it listens to one of `events` and was welcomed.
  bool listens(SocketId id, EventMask events) const;
  Delivery send(SocketId to, const SharedText& text);
  // To a socket that listens to one of `events`.
  Delivery send_if_listening(SocketId to, EventMask events, const SharedText& text);
  // To every socket of the tenant that listens to one of `events` and has room; yields how many.
  std::size_t send_to_listeners(const TenantId& tenant, EventMask events, const SharedText& text);

  // Whether the account has room; if not, the io thread reports when it has (wants_drained).
  bool has_room(SocketAccount& account) const;

  static std::uint8_t thread_of(SocketId id) noexcept { return id.value & 0xff; }
  static std::size_t slot_of(SocketId id) noexcept { return (id.value >> 8) & 0xffffff; }

 private:
  SocketAccount* find(SocketId id) const;
  bool put(SocketAccount& account, const SharedText& text);

  const std::uint8_t thread_;
  const std::size_t outbound_bytes_;
  const std::function<void()> wake_;

  std::atomic<bool> has_mail_ = false;
  mutable std::mutex mutex_;
  std::vector<std::unique_ptr<SocketAccount>> slots_;  // guarded by mutex_
  std::vector<std::uint32_t> free_slots_;              // guarded by mutex_
  std::uint64_t generation_ = 0;                       // guarded by mutex_
  std::vector<SocketAccount*> listeners_;              // guarded by mutex_: to any event
  std::vector<Parcel> mailbox_;                        // guarded by mutex_
};

}  // namespace mpr
