#include "client/connection.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <vector>

#include "base/text.hpp"
#include "net/http_head.hpp"
#include "net/websocket/handshake.hpp"

namespace mpr::client {
namespace {

namespace asio = boost::asio;

// One read takes all that fits: shared by the connections of a thread, because a socket that waits
// must not hold memory.
constexpr std::size_t kReadBytes = 256 << 10;
// Reads in a row before other sockets get their turn.
constexpr int kReadsPerTurn = 4;
// What a buffer that was emptied may keep.
constexpr std::size_t kKeptOutboxBytes = 1 << 20;
// An id is generation * 2^24 + slot; 2^53 is where JavaScript's whole numbers end.
constexpr unsigned kSlotBits = 24;
constexpr std::uint64_t kGenerations = std::uint64_t{1} << (53 - kSlotBits);

std::span<char> read_buffer() {
  thread_local std::vector<char> buffer(kReadBytes);
  return buffer;
}

// Empties a buffer; a large one is given back.
void clear(std::string& buffer) {
  buffer.clear();
  if (buffer.capacity() > kKeptOutboxBytes) buffer.shrink_to_fit();
}

std::string readable(const boost::system::error_code& error) { return error.message(); }

}  // namespace

RpcClient::Connection::Connection(asio::io_context& io, Options options)
    : io_(io),
      options_(std::move(options)),
      socket_(io),
      resolver_(io),
      reader_(websocket::Role::client, options_.max_message_bytes) {}

// --- connecting ---------------------------------------------------------------------------------

void RpcClient::Connection::connect(const Url& url, ConnectHandler done) {
  url_ = url;
  on_connect_ = std::move(done);
  state_ = State::connecting;
  if (url_.transport == Transport::tls && !options_.tls) {
    return asio::post(io_, [self = shared_from_this()] {
      if (self->state_ == State::connecting) self->lose("wss:// addresses are not taken here");
    });
  }
  resolver_.async_resolve(
      url_.host, std::to_string(url_.port),
      [self = shared_from_this()](const boost::system::error_code& error,
                                  const Tcp::resolver::results_type& addresses) {
        if (self->state_ != State::connecting) return;
        if (error) return self->lose("cannot find " + self->url_.host + ": " + readable(error));
        self->connect_to(addresses);
      });
}

void RpcClient::Connection::connect_to(const Tcp::resolver::results_type& addresses) {
  asio::async_connect(
      socket_, addresses,
      [self = shared_from_this()](const boost::system::error_code& error, const Tcp::endpoint&) {
        if (self->state_ != State::connecting) return;
        if (error) {
          return self->lose("cannot connect to " + self->url_.host + ":" +
                            std::to_string(self->url_.port) + ": " + readable(error));
        }
        self->begin_on_socket();
      });
}

void RpcClient::Connection::begin_on_socket() {
  boost::system::error_code error;
  socket_.set_option(Tcp::no_delay(true), error);
  socket_.non_blocking(true, error);
  if (error) return lose("cannot prepare the socket: " + readable(error));
  if (url_.transport == Transport::plain) {
    shake_hands();
  } else {
    state_ = State::securing;
    tls_.emplace(options_.tls, options_.server_name.empty() ? url_.host : options_.server_name);
    secure();
  }
  if (state_ != State::closed) wait_readable();
}

void RpcClient::Connection::secure() {
  const auto progress = tls_->shake_hands();
  if (!progress) {
    certificate_refused_ = tls_->certificate_refused();
    flush();  // the alert, so that the server knows why
    return lose(url_.host + ":" + std::to_string(url_.port) + ": " + progress.error().context);
  }
  flush();
  if (*progress == TlsStream::Progress::done && state_ == State::securing) shake_hands();
}

void RpcClient::Connection::shake_hands() {
  state_ = State::shaking_hands;
  handshake_key_ = websocket::make_client_key();
  const bool v6 = url_.host.find(':') != std::string::npos;
  const std::string host =
      (v6 ? "[" + url_.host + "]" : url_.host) + ":" + std::to_string(url_.port);
  outbox_ = websocket::client_request(host, url_.target, handshake_key_, options_.bearer_token);
  flush();
}

void RpcClient::Connection::read_handshake(std::string_view bytes) {
  const std::size_t searched = handshake_.size();
  handshake_ += bytes;
  const std::size_t head_bytes = http_head_bytes(handshake_, searched);
  if (head_bytes == 0) {
    if (handshake_.size() > kMaxHttpHeadBytes) lose("the server's handshake is too long");
    return;
  }
  const auto head = parse_response_head(std::string_view(handshake_).substr(0, head_bytes));
  if (!head) return lose("bad handshake: " + head.error().context);
  const auto checked = websocket::check_server_response(*head, handshake_key_);
  if (!checked) return lose("bad handshake: " + checked.error().context);

  // Frames may stand right behind the head.
  std::string behind = handshake_.substr(head_bytes);
  handshake_ = {};
  state_ = State::open;
  finish_connect({});
  if (!behind.empty() && open()) read_frames(behind);
}

void RpcClient::Connection::finish_connect(Result<void> outcome) {
  ConnectHandler done = std::move(on_connect_);
  if (done) done(std::move(outcome));
}

// --- receiving ----------------------------------------------------------------------------------

void RpcClient::Connection::wait_readable() {
  socket_.async_wait(Tcp::socket::wait_read,
                     [self = shared_from_this()](const boost::system::error_code& error) {
                       if (self->state_ == State::closed) return;
                       if (error) return self->lose("connection lost: " + readable(error));
                       self->on_readable();
                     });
}

void RpcClient::Connection::on_readable() {
  reading_ = true;
  bool more = true;
  for (int reads = 0; more && reads < kReadsPerTurn; ++reads) {
    if (!read_once(more)) break;
  }
  reading_ = false;
  if (state_ == State::closed) return;
  flush();
  if (state_ != State::closed) wait_readable();
}

bool RpcClient::Connection::read_once(bool& more) {
  const std::span<char> buffer = read_buffer();
  boost::system::error_code error;
  const std::size_t bytes = socket_.read_some(asio::buffer(buffer.data(), kReadBytes), error);
  if (error == asio::error::would_block) {
    more = false;
    return true;
  }
  if (error) {
    lose("connection lost: " + readable(error));
    return false;
  }
  more = bytes == kReadBytes;
  if (tls_) {
    read_encrypted(buffer, bytes);
  } else {
    read_plain(buffer.first(bytes));
  }
  return state_ != State::closed;
}

// The stream copies what it is given, so the same buffer takes what comes out of it.
void RpcClient::Connection::read_encrypted(std::span<char> buffer, std::size_t bytes) {
  tls_->received(buffer.first(bytes));
  if (state_ == State::securing) secure();
  while (state_ == State::shaking_hands || state_ == State::open) {
    const auto plain = tls_->read(buffer);
    if (!plain) return lose("connection lost: " + plain.error().context);
    if (*plain == 0) return;
    read_plain(buffer.first(*plain));
  }
}

void RpcClient::Connection::read_plain(std::span<char> bytes) {
  if (state_ == State::shaking_hands) {
    read_handshake({bytes.data(), bytes.size()});
  } else {
    read_frames(bytes);
  }
}

void RpcClient::Connection::read_frames(std::span<char> bytes) {
  using Kind = websocket::Event::Kind;
  reader_.feed(bytes);
  while (open()) {
    const websocket::Event event = reader_.next();
    switch (event.kind) {
      case Kind::need_more:
        return;
      case Kind::message:
        read_message(event.payload);
        break;
      case Kind::ping:
        writer_.append(outbox_, websocket::Opcode::pong, event.payload);
        break;
      case Kind::pong:
        break;
      case Kind::close:
        writer_.append(outbox_, websocket::Opcode::close, websocket::close_payload(event.code, {}));
        flush();
        return lose("the server closed the connection: " +
                    std::to_string(static_cast<unsigned>(event.code)) + " " +
                    std::string(event.reason));
      case Kind::failed:
        writer_.append(outbox_, websocket::Opcode::close,
                       websocket::close_payload(event.code, event.reason));
        flush();
        return lose("the server broke the protocol: " + std::string(event.reason));
    }
  }
}

void RpcClient::Connection::read_message(std::string_view text) {
  const Result<Incoming> incoming = incoming_.read(text);
  if (!incoming) return lose(incoming.error().context);
  if (incoming->kind == Incoming::Kind::event) {
    if (on_event_) on_event_(Event{incoming->method, incoming->text});
  } else {
    answer(*incoming);
  }
}

void RpcClient::Connection::answer(const Incoming& incoming) {
  const std::uint64_t index = incoming.id & ((std::uint64_t{1} << kSlotBits) - 1);
  if (index >= calls_.size() || calls_[index].generation != incoming.id >> kSlotBits ||
      !calls_[index].done) {
    return lose("the server answered a call that was not waiting, id " +
                std::to_string(incoming.id));
  }
  AnswerHandler done = std::move(calls_[index].done);
  calls_[index].done = nullptr;
  calls_[index].generation = (calls_[index].generation + 1) % kGenerations;
  free_slots_.push_back(index);
  done(Answer{incoming.kind == Incoming::Kind::result ? Answer::Kind::result : Answer::Kind::error,
              incoming.text});
}

// --- sending ------------------------------------------------------------------------------------

std::uint64_t RpcClient::Connection::take_slot(AnswerHandler done) {
  if (free_slots_.empty()) {
    free_slots_.push_back(calls_.size());
    calls_.emplace_back();
  }
  const std::size_t index = free_slots_.back();
  free_slots_.pop_back();
  calls_[index].done = std::move(done);
  return calls_[index].generation << kSlotBits | index;
}

void RpcClient::Connection::call(std::string_view method, std::string_view params,
                                 AnswerHandler done) {
  if (!open()) {
    asio::post(io_, [done = std::move(done)]() mutable {
      done(Answer{Answer::Kind::lost, "not connected"});
    });
    return;
  }
  const std::uint64_t id = take_slot(std::move(done));
  request_.assign(R"({"jsonrpc":"2.0","method":")");
  request_ += method;
  if (params.empty()) {
    request_ += R"(","id":)";
  } else {
    request_ += R"(","params":)";
    request_ += params;
    request_ += R"(,"id":)";
  }
  append_number(request_, id);
  request_ += '}';
  writer_.append(outbox_, websocket::Opcode::text, request_);
  flush_at_end_of_turn();
}

void RpcClient::Connection::flush_at_end_of_turn() {
  if (reading_ || flush_due_ || waiting_writable_) return;
  flush_due_ = true;
  asio::post(io_, [self = shared_from_this()] {
    self->flush_due_ = false;
    if (self->state_ != State::closed) self->flush();
  });
}

void RpcClient::Connection::flush() {
  if (waiting_writable_) return;
  if (tls_ && !outbox_.empty()) {
    const Result<void> encrypted = tls_->write(outbox_);
    if (!encrypted) return lose("connection lost: " + encrypted.error().context);
    clear(outbox_);
  }
  std::string& bytes = tls_ ? tls_->outgoing() : outbox_;
  while (sent_ < bytes.size()) {
    boost::system::error_code error;
    sent_ += socket_.write_some(asio::buffer(bytes.data() + sent_, bytes.size() - sent_), error);
    if (error == asio::error::would_block) {
      if (sent_ > bytes.size() / 2) {
        bytes.erase(0, sent_);
        sent_ = 0;
      }
      return wait_writable();
    }
    // What the server said before it went away is still to be read; the reading side ends it.
    if (error) break;
  }
  clear(bytes);
  sent_ = 0;
}

void RpcClient::Connection::wait_writable() {
  waiting_writable_ = true;
  socket_.async_wait(Tcp::socket::wait_write,
                     [self = shared_from_this()](const boost::system::error_code&) {
                       self->waiting_writable_ = false;
                       if (self->state_ != State::closed) self->flush();
                     });
}

// --- ending -------------------------------------------------------------------------------------

void RpcClient::Connection::close() {
  on_close_ = nullptr;
  if (open()) {
    writer_.append(outbox_, websocket::Opcode::close,
                   websocket::close_payload(websocket::CloseCode::going_away, {}));
    flush();
  }
  lose("closed by this side");
}

void RpcClient::Connection::abandon() {
  state_ = State::closed;
  boost::system::error_code ignored;
  socket_.close(ignored);
  resolver_.cancel();
  calls_.clear();
  free_slots_.clear();
}

void RpcClient::Connection::lose(std::string reason) {
  if (state_ == State::closed) return;
  const bool was_open = open();
  state_ = State::closed;
  boost::system::error_code ignored;
  socket_.close(ignored);
  resolver_.cancel();
  const Error error{Errc::unavailable, std::move(reason)};
  fail_calls(error.context);
  if (was_open) {
    if (on_close_) on_close_(error);
  } else {
    finish_connect(std::unexpected(error));
  }
}

void RpcClient::Connection::fail_calls(std::string_view reason) {
  std::vector<Slot> calls = std::move(calls_);
  calls_.clear();
  free_slots_.clear();
  for (Slot& slot : calls) {
    if (slot.done) slot.done(Answer{Answer::Kind::lost, reason});
  }
}

}  // namespace mpr::client
