#include "store/redis/link.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/log.hpp"

namespace mpr::redis {

namespace {

// Reads in a row before other sources get their turn.
constexpr int kReadsPerTurn = 4;
// A send buffer that grew beyond it is given back once it is empty.
constexpr std::size_t kKeptBytes = 1 << 20;

std::string reason_of(int error) { return std::strerror(error); }

void set_option(int fd, int level, int name, int value) {
  ::setsockopt(fd, level, name, &value, sizeof value);
}

// A peer that vanished from an idle connection is noticed within about half a minute.
void prepare_socket(int fd) {
  set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, 15);
  set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, 5);
  set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
}

}  // namespace

Link::Link(IoThread& thread, const LinkSettings& settings, LinkUser& user)
    : thread_(thread), settings_(settings), user_(user) {}

Link::~Link() {
  if (fd_ >= 0) ::close(fd_);
}

// --- connecting ---------------------------------------------------------------------------------

void Link::open(ServerAddress address) {
  close();
  ++generation_;
  address_ = std::move(address);
  state_ = State::resolving;
  connect_by_ = thread_.now() + settings_.connect_timeout;
  last_heard_ = thread_.now();
  opening_ = true;
  start();
  opening_ = false;
}

void Link::start() {
  if (settings_.login.tls == Tls::on && settings_.tls == nullptr) {
    return lose(settings_.tls_problem);
  }
  addresses_ = Resolver::numeric(address_.host, address_.port);
  if (!addresses_.empty()) return connect_next({});
  resolution_ = settings_.resolver->resolve(address_.host, address_.port);
  thread_.watch(resolution_->fd(), name_source_, IoThread::Interest::read);
}

void Link::close() {
  if (resolution_) {
    thread_.unwatch(resolution_->fd(), name_source_);
    resolution_.reset();
  }
  if (fd_ >= 0) {
    thread_.unwatch(fd_, *this);
    ::close(std::exchange(fd_, -1));
  }
  state_ = State::closed;
  failed_at_once_.clear();
  addresses_.clear();
  login_steps_.clear();
  identity_ = {};
  tls_.reset();
  reader_.reset();
  out_ = {};
  taken_ = 0;
  gone_ = 0;
}

void Link::lose(std::string reason) {
  if (opening_) {  // check_time() tells
    failed_at_once_ = std::move(reason);
    return;
  }
  std::string text = at() + ": " + reason;
  const std::uint64_t gone = gone_;
  if (state_ == State::open) lost_ = std::move(identity_);
  close();
  user_.on_lost(std::move(text), gone);
}

void Link::check_time(TimePoint now) {
  if (state_ == State::closed || state_ == State::open) return;
  if (!failed_at_once_.empty()) return lose(std::exchange(failed_at_once_, {}));
  if (now < connect_by_) return;
  lose("no connection within " + std::to_string(settings_.connect_timeout.count()) + " ms");
}

void Link::on_resolved() {
  auto found = resolution_->take();
  thread_.unwatch(resolution_->fd(), name_source_);
  resolution_.reset();
  if (!found) return lose(found.error().context);
  addresses_ = std::move(*found);
  connect_next("the name has no address");
}

// Tries the addresses one after the other; `reason` is why the last one did not do.
void Link::connect_next(std::string reason) {
  if (fd_ >= 0) {
    thread_.unwatch(fd_, *this);
    ::close(std::exchange(fd_, -1));
  }
  while (!addresses_.empty()) {
    const SocketAddress address = addresses_.front();
    addresses_.erase(addresses_.begin());
    if (start_connecting(address, reason)) return;
  }
  lose(std::move(reason));
}

bool Link::start_connecting(const SocketAddress& address, std::string& reason) {
  fd_ = ::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd_ < 0) {
    reason = reason_of(errno);
    return false;
  }
  prepare_socket(fd_);
  if (::connect(fd_, address.get(), address.length) != 0 && errno != EINPROGRESS) {
    reason = reason_of(errno);
    ::close(std::exchange(fd_, -1));
    return false;
  }
  state_ = State::connecting;
  interest_ = IoThread::Interest::write;
  thread_.watch(fd_, *this, interest_);
  return true;
}

void Link::on_connected() {
  int error = 0;
  socklen_t length = sizeof error;
  ::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &length);
  if (error != 0) return connect_next(reason_of(error));
  addresses_.clear();
  want(IoThread::Interest::read);
  if (settings_.login.tls == Tls::off) return log_in();
  state_ = State::securing;
  tls_.emplace(settings_.tls, address_.host);
  secure();
}

void Link::secure() {
  const auto progress = tls_->shake_hands();
  if (!progress) {
    send();  // the alert, so that the server knows why
    if (state_ == State::securing) lose(progress.error().context);
    return;
  }
  if (*progress == TlsStream::Progress::done) return log_in();
  send();
}

// RESP2 is all that is needed, and what every server and proxy speaks.
void Link::log_in() {
  state_ = State::logging_in;
  Request login("");
  using Kind = LoginStep::Kind;
  const Login& l = settings_.login;
  if (!l.password.empty() || !l.user.empty()) {
    if (l.user.empty()) {
      login.add({"AUTH", l.password});
    } else {
      login.add({"AUTH", l.user, l.password});
    }
    login_steps_.push_back({Kind::needed, "the login is refused: "});
  }
  if (l.database != 0) {
    const std::string number = std::to_string(l.database);
    login.add({"SELECT", number});
    login_steps_.push_back({Kind::needed, "database " + number + " cannot be selected: "});
  }
  // So that operators see in CLIENT LIST whose connection it is; a server may refuse it.
  login.add({"CLIENT", "SETNAME", "mpr"});
  login_steps_.push_back({Kind::courtesy});
  login.add({"CLIENT", "INFO"});
  login_steps_.push_back({Kind::introduction});
  if (!lost_.number.empty()) {
    // The address as well: a server that was started anew counts from the beginning.
    login.add({"CLIENT", "KILL", "ID", lost_.number, "ADDR", lost_.address});
    login_steps_.push_back({Kind::burial});
  }
  for (const Script* script : settings_.scripts) {
    login.add({"SCRIPT", "LOAD", script->text});
    login_steps_.push_back({Kind::courtesy});
  }
  out_ += login.bytes();
  send();
}

void Link::on_login_answer(const Value& answer) {
  const LoginStep step = std::move(login_steps_.front());
  login_steps_.pop_front();
  // The first answer of a server that does not want the connection is an error as well.
  const bool unwanted = answer.is_error() && (answer.text.starts_with("NOAUTH") ||
                                              answer.text.contains("max number of clients") ||
                                              answer.text.starts_with("DENIED"));
  if (unwanted || (answer.is_error() && step.kind == LoginStep::Kind::needed)) {
    return lose(step.refusal + answer.text.substr(0, 200));
  }
  if (step.kind == LoginStep::Kind::introduction) identity_ = identity_of(answer.text);
  if (step.kind == LoginStep::Kind::burial) on_burial(answer);
  if (!login_steps_.empty()) return;
  state_ = State::open;
  user_.on_open();
}

void Link::on_burial(const Value& answer) {
  lost_ = {};
  if (!answer.is_error() || settings_.told_no_kill.exchange(true)) return;
  log::warn(
      "Redis refuses CLIENT KILL: an add without a messageId whose connection breaks may be "
      "stored twice",
      {{"reason", answer.text.substr(0, 200)}});
}

// "id=5 addr=10.0.0.7:50123 laddr=... name=mpr ..."
Link::Identity Link::identity_of(std::string_view client_info) {
  const auto value = [&](std::string_view field) {
    const std::size_t at =
        client_info.starts_with(field) ? 0 : client_info.find(' ' + std::string(field));
    if (at == std::string_view::npos) return std::string();
    const std::string_view rest = client_info.substr(client_info.find('=', at) + 1);
    return std::string(rest.substr(0, rest.find(' ')));
  };
  Identity identity{value("id="), value("addr=")};
  if (identity.number.empty() || identity.address.empty()) return {};
  return identity;
}

// --- bytes --------------------------------------------------------------------------------------

void Link::on_ready(IoThread::Ready ready) {
  if (state_ == State::connecting) {
    if (ready.writable || ready.broken) on_connected();
    return;
  }
  const std::uint64_t generation = generation_;
  if (ready.readable || ready.broken) read();
  if (generation != generation_ || state_ == State::closed) return;
  if (ready.writable) send();
}

void Link::read() {
  read_some();
  user_.on_read();
}

void Link::read_some() {
  const std::uint64_t generation = generation_;
  const std::span<char> buffer = thread_.read_buffer();
  for (int i = 0; i < kReadsPerTurn; ++i) {
    const ssize_t count = ::recv(fd_, buffer.data(), buffer.size(), 0);
    if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) break;
    if (count < 0) return lose("connection lost: " + reason_of(errno));
    if (count == 0) return lose("the server closed the connection");
    last_heard_ = thread_.now();
    if (!take_bytes(static_cast<std::size_t>(count)) || generation != generation_) return;
    if (static_cast<std::size_t>(count) < buffer.size()) break;
  }
}

// False: the link was closed on the way.
bool Link::take_bytes(std::size_t count) {
  const std::span<char> bytes = thread_.read_buffer().first(count);
  const std::uint64_t generation = generation_;
  const auto alive = [&] { return generation == generation_ && state_ != State::closed; };
  if (!tls_) {
    read_values({bytes.data(), bytes.size()});
    return alive();
  }
  tls_->received(bytes);
  if (state_ == State::securing) secure();
  plain_.resize(IoThread::kReadBytes);
  while (alive() && state_ != State::securing) {
    const auto read = tls_->read(plain_);
    if (!read) {
      lose(read.error().context);
      return false;
    }
    if (*read == 0) break;
    read_values({plain_.data(), *read});
  }
  if (alive() && !tls_->outgoing().empty()) send();
  return alive();
}

void Link::read_values(std::string_view bytes) {
  const std::uint64_t generation = generation_;
  reader_.feed(bytes);
  Value value;
  while (true) {
    const RespReader::Next next = reader_.next(value);
    if (next == RespReader::Next::need_more) return;
    if (next == RespReader::Next::failed) {
      return lose("the answer is no RESP: " + reader_.problem());
    }
    if (state_ == State::logging_in) {
      on_login_answer(value);
    } else {
      user_.on_value(std::move(value));
    }
    if (generation != generation_ || state_ == State::closed) return;
  }
}

bool Link::has_input() const {
  char byte = 0;
  return fd_ >= 0 && ::recv(fd_, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

void Link::flush() {
  // Before the socket says that it takes more, there is no use in trying.
  if (state_ == State::open && interest_ != IoThread::Interest::read_write) send();
}

void Link::send() {
  if (tls_ && state_ != State::securing && taken_ < out_.size()) {
    const auto written = tls_->write(std::string_view(out_).substr(taken_));
    gone_ += out_.size() - taken_;
    out_.clear();
    taken_ = 0;
    if (!written) return lose(written.error().context);
  }
  std::string& bytes = tls_ ? tls_->outgoing() : out_;
  std::size_t sent = tls_ ? 0 : taken_;
  while (sent < bytes.size()) {
    const ssize_t count = ::send(fd_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) break;
    if (count < 0) return lose("connection lost: " + reason_of(errno));
    sent += static_cast<std::size_t>(count);
    if (!tls_) gone_ += static_cast<std::size_t>(count);
  }
  const bool all = sent == bytes.size();
  if (tls_ && !all) {
    bytes.erase(0, sent);
  } else if (all) {
    bytes.clear();
    if (bytes.capacity() > kKeptBytes) bytes.shrink_to_fit();
    taken_ = 0;
  } else {
    taken_ = sent;
    if (taken_ > kKeptBytes) out_.erase(0, std::exchange(taken_, 0));
  }
  want(all ? IoThread::Interest::read : IoThread::Interest::read_write);
}

void Link::want(IoThread::Interest interest) {
  if (interest == interest_) return;
  interest_ = interest;
  thread_.change(fd_, *this, interest);
}

}  // namespace mpr::redis
