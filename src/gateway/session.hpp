// One WebSocket connection: handshake, frames, calls, events, keepalive, close. Its loop has three
// inputs: the socket is ready, something is to be sent, time has passed. Everything happens on the
// io thread of its home, which owns it and outlives it.
//
// Life: handshake -> open -> closing -> ended. An ended session has no socket any more, but stays
// until its calls have ended. It never closes with code 1000 of its own accord.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/call_lanes.hpp"
#include "gateway/call_runner.hpp"
#include "gateway/outbox.hpp"
#include "gateway/socket_directory.hpp"
#include "net/io_thread.hpp"
#include "net/websocket/frame_reader.hpp"
#include "rpc/json_rpc.hpp"

namespace mpr {

class SocketThread;

class Session final : public IoThread::Source, public CallOrigin {
 public:
  using SteadyTime = std::chrono::steady_clock::time_point;

  // Takes over a connected, non-blocking socket.
  Session(SocketThread& home, int fd, SocketAccount& account);
  ~Session() override;
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  SocketAccount& account() const noexcept { return account_; }
  bool is_open() const noexcept { return phase_ == Phase::open; }
  bool ended() const noexcept { return phase_ == Phase::ended; }
  // Whether a handshake was completed, so that the service may know of the socket.
  bool was_open() const noexcept { return was_open_; }
  bool has_calls() const noexcept { return calls_running_ > 0; }

  void on_ready(IoThread::Ready ready) override;

  // Appends a text message, if the session is open.
  void deliver(const SharedText& text);
  // The same for one whose size the account holds already.
  void deliver_counted(const SharedText& text);
  // False: there is as much outbound as may be; the service will hear when that is over.
  bool has_room();
  // Goes on with the calls that waited for room in the outbound buffer.
  void resume_parked();
  // Writes what waits, as far as the socket takes it.
  void flush();
  // Applies the timeouts.
  void check_time(SteadyTime now);

  // Answers the handshake, which need not have come yet, with an HTTP error.
  void refuse(int status, std::string reason);
  // The same, because there are too many connections.
  void refuse_over_limit();
  // Closes with 1012 as soon as the calls in hand are answered; further ones are not taken.
  void start_draining();
  // Closes with this code now, without waiting for calls.
  void close(websocket::CloseCode code, std::string_view reason);
  // Ends without a word.
  void cut();

  // --- CallOrigin -----------------------------------------------------------------------------

  Caller caller() const override { return {.socket = account_.id, .tenant = account_.tenant}; }
  CallLanes& lanes() override { return lanes_; }
  bool listens() const override { return is_open(); }
  bool room_for_answers() const override;
  std::vector<LaneCall*>& parked() override { return parked_; }
  void send_answer(std::string_view result, const rpc::RequestId& id) override;
  void send_error(const rpc::RpcError& error, const rpc::RequestId& id) override;
  void send_batch(const BatchAnswer& batch) override;
  void call_answered() override;
  void call_ended() override;

 private:
  enum class Phase : std::uint8_t { handshake, open, closing, ended };
  struct Handshake {
    std::string bytes;
    std::size_t searched = 0;
  };

  std::string peer() const;  // for logs
  void work(IoThread::Ready ready);
  void read();
  void read_handshake(std::span<char> bytes);
  void shake_hands(std::string_view head);
  void read_frames(std::span<char> bytes);
  void on_message(std::string_view text);
  void on_close(websocket::CloseCode code);
  void on_protocol_error(const websocket::Event& event);

  void take_in(rpc::Request request, const std::shared_ptr<BatchAnswer>& batch, std::size_t slot);
  std::optional<Result<std::string>> answer_here(const rpc::Call& call);
  std::string subscribe(const rpc::Subscribe& call);
  std::string unsubscribe(const rpc::Unsubscribe& call);
  Result<std::string> log_in(const rpc::Login& call);

  template <class Write>
  void send_text(std::size_t expected_bytes, Write&& write);
  void send_control(websocket::Opcode opcode, std::string_view payload);
  void flush_later();
  void check_outbound();
  void set_interest();
  void end();

  // constant after construction
  SocketThread& home_;
  SocketAccount& account_;

  int fd_;
  Phase phase_ = Phase::handshake;
  bool was_open_ = false;
  bool over_limit_ = false;
  bool authorized_ = false;
  bool draining_ = false;
  bool paused_ = false;       // not read, because of what waits to be written or to be done
  bool peer_closed_ = false;  // its close frame came: end when ours is written
  bool last_words_ = false;   // when the outbox is written, the peer is to see the end
  bool write_blocked_ = false;
  bool resuming_ = false;  // resume_parked() will be called
  bool dirty_ = false;     // known to the home as having something to write
  IoThread::Interest interest_ = IoThread::Interest::read;

  std::uint32_t calls_running_ = 0;
  std::uint32_t calls_unanswered_ = 0;
  SteadyTime phase_since_;
  SteadyTime last_received_;
  SteadyTime last_ping_;
  std::optional<SteadyTime> over_bound_since_;
  std::size_t published_bytes_ = 0;  // the part of the account's bytes that is our outbox

  std::unique_ptr<Handshake> handshake_;
  websocket::FrameReader reader_;
  Outbox outbox_;
  CallLanes lanes_;
  std::vector<LaneCall*> parked_;
  std::string client_name_;  // for logs
};

}  // namespace mpr
