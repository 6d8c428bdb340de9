// The sockets of one io thread: owns their sessions, flushes those that have something to write at
// the end of each turn, walks through them to apply timeouts, and takes in what other threads send.
//
// Everything is for the io thread, except directory(), which is for any thread, and the constructor
// and destructor, which the owner calls before start() and after join().
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "base/metrics.hpp"
#include "gateway/call_runner.hpp"
#include "gateway/outbox.hpp"
#include "gateway/server.hpp"
#include "gateway/session.hpp"
#include "gateway/socket_directory.hpp"
#include "net/io_thread.hpp"
#include "rpc/json_rpc.hpp"

namespace mpr {

class Methods;
class PickupService;

// Counts sockets over all threads; lets the owner wait until there are none.
class OpenSockets {
 public:
  std::size_t count() const noexcept { return count_.load(std::memory_order_relaxed); }
  // Those that are being told that there are too many; they take nobody's place.
  std::size_t refused() const noexcept { return refused_.load(std::memory_order_relaxed); }
  void add() noexcept { count_.fetch_add(1, std::memory_order_relaxed); }
  void add_refused() noexcept { refused_.fetch_add(1, std::memory_order_relaxed); }
  void remove_refused() noexcept { refused_.fetch_sub(1, std::memory_order_relaxed); }
  void remove();
  bool wait_until_none(std::chrono::steady_clock::time_point limit);

 private:
  std::atomic<std::size_t> count_ = 0;
  std::atomic<std::size_t> refused_ = 0;  // a part of count_
  std::mutex mutex_;
  std::condition_variable none_;
};

class SocketThread {
 public:
  SocketThread(std::uint8_t index, const Server::Options& options, Metrics& metrics,
               OpenSockets& open_sockets, PickupService& service, Methods& methods);
  ~SocketThread();

  IoThread& io() noexcept { return io_; }
  SocketDirectory& directory() noexcept { return directory_; }

  // Takes over a connected, non-blocking socket, which open_sockets counts already; to serve it, or
  // to tell it that there are too many.
  enum class Admission { serve, refuse };
  void adopt(int fd, Admission admission);

  Delivery deliver(SocketId to, const SharedText& text);

  void start_draining(const SharedText& event, EventMask events);
  void close_all();
  void cut_all();
  // Whether calls of sockets, gone ones included, still run.
  bool has_calls() const noexcept { return runner_.in_hand() > 0; }

  // --- for sessions ---------------------------------------------------------------------------

  const Server::Options& options() const noexcept { return options_; }
  Metrics& metrics() noexcept { return metrics_; }
  const rpc::Decoder& decoder() const noexcept { return decoder_; }
  CallRunner& runner() noexcept { return runner_; }
  BufferPool& buffers() noexcept { return buffers_; }
  bool draining() const noexcept { return draining_; }
  // The session has something to write; it is flushed before the turn ends.
  void flush_later(Session& session) { dirty_.push_back(&session); }
  void socket_gone(bool was_over_limit) {
    if (was_over_limit) open_sockets_.remove_refused();
    open_sockets_.remove();
  }
  // The session has ended and has no more calls: it goes when the turn ends.
  void see_to(Session& session) { ending_.push_back(&session); }
  // Whether one more line about refused peers may be logged: a flood of them is cut short.
  bool may_log_refusal();
  // Calls resume_parked() in a later turn, if the socket is still open then.
  void resume_later(SocketId socket);
  // Tells the service, before the turn ends.
  void report_drained(SocketId socket) { drained_.push_back(socket); }
  void report_subscribed(const SocketAccount& account) { subscribed_.push_back(account.id); }

 private:
  void end_turn();
  void take_in_mail();
  void flush_dirty();
  void see_to_ended();
  void tell_service();
  void tick();
  Session* find(SocketId id) const;

  const Server::Options& options_;
  Metrics& metrics_;
  OpenSockets& open_sockets_;
  PickupService& service_;
  const rpc::Decoder decoder_;

  BufferPool buffers_;
  IoThread io_;
  SocketDirectory directory_;
  CallRunner runner_;
  bool draining_ = false;

  std::vector<std::unique_ptr<Session>> sessions_;  // by slot
  std::vector<Session*> dirty_;
  std::chrono::steady_clock::time_point refusals_since_;
  int refusals_logged_ = 0;
  std::vector<Session*> ending_;
  std::vector<SocketId> drained_;
  std::vector<SocketId> subscribed_;
  std::vector<SocketDirectory::Parcel> parcels_;
  std::size_t next_checked_ = 0;  // slot at which the walk goes on
  std::size_t ticks_per_walk_;
};

}  // namespace mpr
