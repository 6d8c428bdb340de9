#include "gateway/session.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <exception>
#include <utility>

#include "base/log.hpp"
#include "gateway/socket_thread.hpp"
#include "gateway/token.hpp"
#include "net/http_head.hpp"
#include "net/listener.hpp"
#include "net/websocket/frame_writer.hpp"
#include "net/websocket/handshake.hpp"
#include "rpc/wire.hpp"

namespace mpr {

namespace {

using websocket::CloseCode;
using websocket::Event;
using websocket::Opcode;

// How long a peer may take to answer a close frame.
constexpr std::chrono::seconds kClosingTimeout{2};
// What the envelope of an answer adds to its result and id.
constexpr std::size_t kEnvelopeBytes = 35;

bool is_allowed_before_login(const rpc::Call& call) {
  return std::holds_alternative<rpc::Ping>(call) || std::holds_alternative<rpc::Login>(call) ||
         std::holds_alternative<rpc::ListMethods>(call);
}

// The bit of an event, or 0 if there is no such event.
EventMask bit_of(std::string_view event) {
  const auto names = rpc::event_names();
  const auto found = std::find(names.begin(), names.end(), event);
  return found == names.end() ? 0 : EventMask{1} << (found - names.begin());
}

}  // namespace

Session::Session(SocketThread& home, int fd, SocketAccount& account)
    : home_(home),
      account_(account),
      fd_(fd),
      authorized_(home.options().auth_token.empty()),
      phase_since_(home.io().now()),
      last_received_(phase_since_),
      last_ping_(phase_since_),
      handshake_(std::make_unique<Handshake>()),
      reader_(websocket::Role::server, home.options().max_frame_bytes),
      outbox_(home.buffers()) {
  home_.io().watch(fd_, *this, IoThread::Interest::read);
}

// "127.0.0.1:40000", and the name the client gave itself, if any.
std::string Session::peer() const {
  const std::string address = peer_address(fd_);
  return client_name_.empty() ? address : address + " " + client_name_;
}

Session::~Session() {
  if (fd_ >= 0) ::close(fd_);
}

// --- input -----------------------------------------------------------------------------------

void Session::on_ready(IoThread::Ready ready) {
  try {
    work(ready);
  } catch (const std::exception& e) {  // a bug, or no memory: of this socket alone
    log::error("a socket is cut after an exception",
               {{"socket", account_.id.value}, {"peer", peer()}, {"what", e.what()}});
    cut();
  }
}

void Session::work(IoThread::Ready ready) {
  if (ready.writable) {
    write_blocked_ = false;
    flush();
  }
  if (ended()) return;
  if (ready.readable && !paused_) {
    read();
  } else if (ready.broken) {
    end();
  }
  if (!ended() && !outbox_.empty()) flush();
}

void Session::read() {
  const std::span<char> buffer = home_.io().read_buffer();
  const ssize_t count = ::recv(fd_, buffer.data(), buffer.size(), 0);
  if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return;
  if (count <= 0) return end();
  last_received_ = home_.io().now();
  home_.metrics().bytes_received.add(static_cast<std::uint64_t>(count));
  const std::span<char> bytes = buffer.first(static_cast<std::size_t>(count));
  if (phase_ == Phase::handshake) {
    read_handshake(bytes);
  } else if (was_open_) {
    read_frames(bytes);
  }
  if (!ended()) set_interest();
}

void Session::read_handshake(std::span<char> bytes) {
  Handshake& handshake = *handshake_;
  handshake.bytes.append(bytes.data(), bytes.size());
  const std::size_t size = http_head_bytes(handshake.bytes, handshake.searched);
  handshake.searched = handshake.bytes.size();
  if (size > kMaxHttpHeadBytes || (size == 0 && handshake.bytes.size() > kMaxHttpHeadBytes)) {
    return refuse(431, "the request head is too large");
  }
  if (size == 0) return;
  const std::unique_ptr<Handshake> done = std::move(handshake_);
  shake_hands(std::string_view(done->bytes).substr(0, size));
  if (is_open() && done->bytes.size() > size) {
    read_frames(std::span(done->bytes).subspan(size));
  }
}

void Session::shake_hands(std::string_view head) {
  const Result<HttpRequestHead> request = parse_request_head(head);
  if (!request) return refuse(400, request.error().context);
  auto answer = websocket::answer_upgrade(*request);
  if (const auto* refusal = std::get_if<websocket::Refusal>(&answer)) {
    return refuse(refusal->status, refusal->reason);
  }
  auto& upgrade = std::get<websocket::Upgrade>(answer);
  if (!authorized_ && !upgrade.bearer_token.empty()) {
    authorized_ = is_same_token(upgrade.bearer_token, home_.options().auth_token);
    if (!authorized_) return refuse(401, "the token is wrong");
  }
  outbox_.append(upgrade.response);
  client_name_ = std::move(upgrade.client_name);
  phase_ = Phase::open;
  was_open_ = true;
  phase_since_ = home_.io().now();
  home_.directory().open(account_);
  home_.metrics().sockets_accepted.add();
  home_.metrics().sockets_open.add();
  if (log::enabled(log::Level::debug)) {
    log::debug("a socket was opened", {{"socket", account_.id.value}, {"peer", peer()}});
  }
  flush_later();
}

void Session::refuse(int status, std::string reason) {
  home_.metrics().sockets_refused.add();
  if (home_.may_log_refusal()) {
    log::warn("a handshake was refused",
              {{"peer", peer()}, {"status", status}, {"reason", reason}});
  }
  outbox_.append(websocket::refuse(status, std::move(reason)).response);
  phase_ = Phase::closing;
  phase_since_ = home_.io().now();
  last_words_ = true;
  flush_later();
}

void Session::refuse_over_limit() {
  over_limit_ = true;
  refuse(503, "too many connections");
}

void Session::read_frames(std::span<char> bytes) {
  reader_.feed(bytes);
  for (Event event = reader_.next(); event.kind != Event::Kind::need_more; event = reader_.next()) {
    switch (event.kind) {
      case Event::Kind::message:
        if (is_open() && !draining_) on_message(event.payload);
        break;
      case Event::Kind::ping:
        if (is_open()) send_control(Opcode::pong, event.payload);
        break;
      case Event::Kind::close:
        on_close(event.code);
        break;
      case Event::Kind::failed:
        on_protocol_error(event);
        break;
      case Event::Kind::pong:
      case Event::Kind::need_more:
        break;
    }
  }
}

void Session::on_close(CloseCode code) {
  peer_closed_ = true;
  if (is_open()) close(code, {});  // the peer's own code goes back to it
  flush_later();
}

void Session::on_protocol_error(const Event& event) {
  home_.metrics().protocol_errors.add();
  log::info("a socket broke the WebSocket protocol", {{"socket", account_.id.value},
                                                      {"peer", peer()},
                                                      {"code", static_cast<int>(event.code)},
                                                      {"reason", event.reason}});
  close(event.code, event.reason);
  last_words_ = true;
}

// --- calls -----------------------------------------------------------------------------------

void Session::on_message(std::string_view text) {
  rpc::Frame frame = home_.decoder().decode(text);
  Metrics& metrics = home_.metrics();
  metrics.calls.add(frame.members.size() + frame.dropped);
  if (frame.dropped > 0) {
    metrics.calls_failed.add(frame.dropped);
    metrics.calls_rejected.add(frame.dropped);
  }
  std::shared_ptr<BatchAnswer> batch;
  if (frame.batch) {
    batch = std::make_shared<BatchAnswer>();
    batch->open = frame.members.size();
    batch->members.resize(frame.members.size());
  }
  for (std::size_t i = 0; i < frame.members.size(); ++i) {
    if (const auto* rejected = std::get_if<rpc::Rejected>(&frame.members[i])) {
      home_.runner().reject(*this, *rejected, batch, i);
    } else {
      take_in(std::move(std::get<rpc::Request>(frame.members[i])), batch, i);
    }
  }
}

void Session::take_in(rpc::Request request, const std::shared_ptr<BatchAnswer>& batch,
                      std::size_t slot) {
  CallRunner& runner = home_.runner();
  if (!authorized_ && !is_allowed_before_login(request.call)) {
    runner.answer_at_once(*this, fail(Errc::unauthorized, "log in with rpc.login first"),
                          request.id, batch, slot);
  } else if (const auto outcome = answer_here(request.call)) {
    runner.answer_at_once(*this, *outcome, request.id, batch, slot);
  } else {
    ++calls_running_;
    ++calls_unanswered_;
    runner.take_in(*this, std::move(request), home_.io().now(), batch, slot);
  }
}

// The calls that are about this socket's own state; nullopt for all others.
std::optional<Result<std::string>> Session::answer_here(const rpc::Call& call) {
  if (const auto* on = std::get_if<rpc::Subscribe>(&call)) return subscribe(*on);
  if (const auto* off = std::get_if<rpc::Unsubscribe>(&call)) return unsubscribe(*off);
  if (const auto* login = std::get_if<rpc::Login>(&call)) return log_in(*login);
  return std::nullopt;
}

std::string Session::subscribe(const rpc::Subscribe& call) {
  std::vector<std::pair<std::string_view, std::string_view>> outcomes;
  const EventMask before = account_.events.load();
  EventMask events = before;
  for (const std::string& name : call.events) {
    const EventMask bit = bit_of(name);
    outcomes.emplace_back(name, bit == 0 ? "provided event invalid"
                                : (events & bit) != 0
                                    ? "socket has already been subscribed to event"
                                    : "ok");
    events |= bit;
  }
  const bool begins_to_listen = (events & ~before & bit_of(rpc::kMessagesReceived)) != 0;
  if (begins_to_listen) account_.welcomed.store(false);
  home_.directory().set_events(account_, events);
  if (begins_to_listen) home_.report_subscribed(account_);
  return rpc::subscription_result(outcomes);
}

std::string Session::unsubscribe(const rpc::Unsubscribe& call) {
  std::vector<std::pair<std::string_view, std::string_view>> outcomes;
  EventMask events = account_.events.load();
  for (const std::string& name : call.events) {
    const EventMask bit = bit_of(name);
    outcomes.emplace_back(name, bit == 0              ? "provided event invalid"
                                : (events & bit) == 0 ? "not subscribed"
                                                      : "ok");
    events &= ~bit;
  }
  home_.directory().set_events(account_, events);
  return rpc::subscription_result(outcomes);
}

Result<std::string> Session::log_in(const rpc::Login& call) {
  const std::string& token = home_.options().auth_token;
  if (!token.empty() && !is_same_token(call.token, token)) {
    if (home_.may_log_refusal()) log::warn("a login was refused", {{"peer", peer()}});
    return fail(Errc::unauthorized, "the token is wrong");
  }
  authorized_ = true;
  return "true";
}

void Session::call_answered() {
  --calls_unanswered_;
  if (draining_) flush_later();
}

void Session::call_ended() {
  --calls_running_;
  if (ended()) {
    if (!has_calls()) home_.see_to(*this);
  } else if (paused_) {
    set_interest();
  }
}

// --- output ----------------------------------------------------------------------------------

template <class Write>
void Session::send_text(std::size_t expected_bytes, Write&& write) {
  if (!is_open()) return;
  outbox_.append_with([&](std::string& out) {
    websocket::OpenFrame frame(out, expected_bytes);
    write(out);
    frame.finish();
  });
  flush_later();
}

void Session::send_answer(std::string_view result, const rpc::RequestId& id) {
  send_text(result.size() + id.raw.size() + kEnvelopeBytes,
            [&](std::string& out) { rpc::append_result(out, result, id); });
}

void Session::send_error(const rpc::RpcError& error, const rpc::RequestId& id) {
  send_text(error.message.size() + error.data.size() + id.raw.size() + 2 * kEnvelopeBytes,
            [&](std::string& out) { rpc::append_error(out, error, id); });
}

void Session::send_batch(const BatchAnswer& batch) {
  std::size_t bytes = 1;
  for (const std::string& member : batch.members) bytes += member.empty() ? 0 : member.size() + 1;
  if (bytes == 1) return;  // notifications only
  send_text(bytes, [&](std::string& out) {
    char separator = '[';
    for (const std::string& member : batch.members) {
      if (member.empty()) continue;
      out += separator;
      out += member;
      separator = ',';
    }
    out += ']';
  });
}

void Session::send_control(Opcode opcode, std::string_view payload) {
  outbox_.append_with(
      [&](std::string& out) { websocket::append_server_frame(out, opcode, payload); });
  flush_later();
}

void Session::deliver(const SharedText& text) {
  if (!is_open()) return;
  std::array<char, websocket::kMaxServerHead> head;
  const std::size_t size = websocket::write_server_head(head.data(), Opcode::text, text->size());
  outbox_.append(std::string_view(head.data(), size));
  outbox_.append(text);
  flush_later();
}

void Session::deliver_counted(const SharedText& text) {
  published_bytes_ += text->size();
  home_.metrics().outbound_bytes.add(static_cast<std::int64_t>(text->size()));
  deliver(text);
  if (!is_open()) flush_later();  // which takes the size out of the account again
}

bool Session::has_room() {
  if (outbox_.bytes() < home_.options().outbound_bytes) return true;
  account_.wants_drained.store(true);
  return false;
}

bool Session::room_for_answers() const { return outbox_.bytes() < home_.options().outbound_bytes; }

void Session::resume_parked() {
  resuming_ = false;
  home_.runner().resume(*this);
  if (!ended() && parked_.empty()) parked_.shrink_to_fit();
}

void Session::flush_later() {
  if (!std::exchange(dirty_, true)) home_.flush_later(*this);
}

void Session::flush() {
  dirty_ = false;
  if (ended()) return;
  if (!write_blocked_) {
    std::size_t written = 0;
    const Outbox::Progress progress = outbox_.flush(fd_, written);
    if (written > 0) home_.metrics().bytes_sent.add(written);
    if (progress == Outbox::Progress::broken) return end();
    write_blocked_ = progress == Outbox::Progress::blocked;
  }
  check_outbound();
  if (draining_ && is_open() && calls_unanswered_ == 0) {
    return close(CloseCode::service_restart, "the server restarts");
  }
  if (phase_ == Phase::closing && outbox_.empty()) {
    if (peer_closed_) return end();
    if (std::exchange(last_words_, false)) ::shutdown(fd_, SHUT_WR);
  }
  set_interest();
}

// Publishes how much waits, and reports when a sender that was told `full` may go on.
void Session::check_outbound() {
  const std::size_t bytes = outbox_.bytes();
  const std::size_t bound = home_.options().outbound_bytes;
  if (bytes != published_bytes_) {
    account_.outbound_bytes.fetch_add(bytes - published_bytes_);  // modulo 2^64: may be negative
    home_.metrics().outbound_bytes.add(static_cast<std::int64_t>(bytes) -
                                       static_cast<std::int64_t>(published_bytes_));
    published_bytes_ = bytes;
  }
  if (bytes < bound) {
    over_bound_since_.reset();
  } else if (!over_bound_since_) {
    over_bound_since_ = home_.io().now();
  }
  if (account_.outbound_bytes.load() < bound / 2 && account_.wants_drained.load() &&
      account_.wants_drained.exchange(false)) {
    home_.report_drained(account_.id);
  }
  // In a turn of its own, so that one socket's large answers do not hold up the others.
  if (bytes < bound / 2 && !parked_.empty() && !std::exchange(resuming_, true)) {
    home_.resume_later(account_.id);
  }
}

// Reading stops while too much waits to be written or done, and goes on at half of that.
void Session::set_interest() {
  const Server::Options& options = home_.options();
  if (paused_) {
    if (outbox_.bytes() <= options.outbound_bytes / 2 &&
        calls_running_ <= options.calls_in_flight / 2) {
      paused_ = false;
      last_received_ = home_.io().now();  // what came meanwhile was not looked at
    }
  } else {
    paused_ = outbox_.bytes() >= options.outbound_bytes ||
              calls_running_ >= std::max<std::size_t>(options.calls_in_flight, 1);
  }
  using enum IoThread::Interest;
  const IoThread::Interest wanted =
      write_blocked_ ? (paused_ ? write : read_write) : (paused_ ? nothing : read);
  if (wanted != interest_) home_.io().change(fd_, *this, interest_ = wanted);
}

// --- time and end ----------------------------------------------------------------------------

void Session::check_time(SteadyTime now) {
  const Server::Options& options = home_.options();
  const auto since = [now](SteadyTime then) { return now - then; };
  if (phase_ == Phase::handshake && since(phase_since_) >= options.handshake_timeout) {
    return refuse(408, "the request head did not come in time");
  }
  if (phase_ == Phase::closing && since(phase_since_) >= kClosingTimeout) return end();
  if (!is_open()) return;
  if (over_bound_since_ && since(*over_bound_since_) >= options.slow_reader_timeout) {
    log::warn(
        "a socket that does not read is cut",
        {{"socket", account_.id.value}, {"peer", peer()}, {"waiting_bytes", outbox_.bytes()}});
    return end();
  }
  if (!has_calls()) lanes_.trim();
  if (paused_) return;
  if (since(last_received_) >= options.dead_after) {
    log::info("a socket fell silent and is cut", {{"socket", account_.id.value}, {"peer", peer()}});
    home_.metrics().sockets_lost_keepalive.add();
    return end();
  }
  if (since(last_received_) >= options.ping_interval &&
      since(last_ping_) >= options.ping_interval) {
    last_ping_ = now;
    send_control(Opcode::ping, {});
  }
}

void Session::start_draining() {
  if (phase_ == Phase::handshake) return end();
  if (is_open() && !paused_) read();  // what has arrived already is still answered
  draining_ = true;
  if (!ended()) flush_later();
}

void Session::close(CloseCode code, std::string_view reason) {
  if (!is_open()) return;
  send_control(Opcode::close, websocket::close_payload(code, reason));
  phase_ = Phase::closing;
  phase_since_ = home_.io().now();
  home_.directory().close(account_);
}

void Session::cut() {
  if (!ended()) end();
}

void Session::end() {
  if (log::enabled(log::Level::debug)) {
    log::debug("a socket has ended", {{"socket", account_.id.value}, {"peer", peer()}});
  }
  if (phase_ == Phase::handshake) home_.metrics().sockets_refused.add();
  home_.directory().close(account_);
  if (!parked_.empty()) {
    phase_ = Phase::closing;  // does not listen any more: the parked calls end
    home_.runner().resume(*this);
  }
  home_.io().unwatch(fd_, *this);
  ::close(std::exchange(fd_, -1));
  phase_ = Phase::ended;
  home_.metrics().outbound_bytes.add(-static_cast<std::int64_t>(published_bytes_));
  published_bytes_ = 0;
  outbox_.clear();
  handshake_.reset();
  if (was_open_) home_.metrics().sockets_open.add(-1);
  home_.socket_gone(over_limit_);
  if (!has_calls()) home_.see_to(*this);
}

}  // namespace mpr
