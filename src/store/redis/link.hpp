// One connection to one Redis server: resolves its name, connects, secures and logs in, then moves
// bytes and reads answers. It connects once when told to; when to try again is its user's affair.
//
// Belongs to the io thread it is given; it may be destroyed after that thread has ended, and so may
// the thread's object be gone by then.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "net/io_thread.hpp"
#include "net/resolver.hpp"
#include "net/tls.hpp"
#include "store/redis/request.hpp"
#include "store/redis/resp_reader.hpp"
#include "store/redis/server_address.hpp"
#include "store/redis/value.hpp"

namespace mpr::redis {

// Who uses a link. It must not destroy the link in these calls.
class LinkUser {
 public:
  virtual ~LinkUser() = default;
  virtual void on_open() = 0;
  virtual void on_value(Value value) = 0;
  // All values of one turn were handed over; the link may be closed by now.
  virtual void on_read() {}
  // The link is closed, for the reason given; not called by close(). `gone` bytes had left.
  virtual void on_lost(std::string reason, std::uint64_t gone) = 0;
};

// What all links of a client share. Outlives them.
struct LinkSettings {
  Login login;
  std::chrono::milliseconds connect_timeout{};
  std::shared_ptr<TlsContext> tls;  // null without TLS
  std::string tls_problem;          // why there is none although there should be
  Resolver* resolver = nullptr;
  // Taught to the server when a connection is opened. One that it did not know would be executed
  // only after the commands that were sent behind it.
  std::vector<const Script*> scripts;
  mutable std::atomic<bool> told_no_kill = false;  // the log says that CLIENT KILL is refused
};

class Link final : public IoThread::Source {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  Link(IoThread& thread, const LinkSettings& settings, LinkUser& user);
  // Closes the socket, without a word to the io thread: it may have ended.
  ~Link() override;
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  // Starts to connect; on_open() or on_lost() follow, never from within.
  void open(ServerAddress address);
  void close();
  // Closes and says so through on_lost().
  void lose(std::string reason);
  bool is_closed() const noexcept { return state_ == State::closed; }
  bool is_open() const noexcept { return state_ == State::open; }

  // To be called now and then while the link is neither open nor closed: watches the time.
  void check_time(TimePoint now);

  // Appends to what the next flush() sends. Only while it is open.
  std::string& out() noexcept { return out_; }
  void flush();
  // Bytes that were appended and bytes that (perhaps) left, since the link was opened. TLS counts
  // bytes as gone once they are encrypted.
  std::uint64_t appended() const noexcept { return gone_ + unsent(); }
  std::uint64_t gone() const noexcept { return gone_; }

  // Appended, and still here.
  std::size_t unsent() const noexcept { return out_.size() - taken_; }

  // Whether bytes wait to be read: after a pause of this thread the server is not to blame.
  bool has_input() const;
  // When the server was last heard of.
  TimePoint last_heard() const noexcept { return last_heard_; }

 private:
  enum class State { closed, resolving, connecting, securing, logging_in, open };

  // Hears of the name's address; apart from the socket, because they may both be watched.
  struct NameSource final : IoThread::Source {
    explicit NameSource(Link& l) : link(l) {}
    void on_ready(IoThread::Ready) override { link.on_resolved(); }
    Link& link;
  };

  void on_ready(IoThread::Ready ready) override;
  void start();
  void on_resolved();
  // What the next answer to the login belongs to.
  struct LoginStep {
    enum class Kind : std::uint8_t { needed, courtesy, introduction, burial };
    Kind kind = Kind::needed;
    std::string refusal{};  // of one that is needed: what is said then
  };
  // A connection as the server names it; empty: it does not say.
  struct Identity {
    std::string number;
    std::string address;
  };

  void connect_next(std::string reason);
  bool start_connecting(const SocketAddress& address, std::string& reason);
  void on_connected();
  void secure();
  void log_in();
  void on_login_answer(const Value& answer);
  void on_burial(const Value& answer);
  static Identity identity_of(std::string_view client_info);
  void read();
  void read_some();
  bool take_bytes(std::size_t count);
  void read_values(std::string_view bytes);
  void send();
  void want(IoThread::Interest interest);
  std::string at() const { return "Redis at " + to_text(address_); }

  IoThread& thread_;
  const LinkSettings& settings_;
  LinkUser& user_;

  State state_ = State::closed;
  std::uint64_t generation_ = 0;  // of open(): notices a close during a callback
  ServerAddress address_;
  int fd_ = -1;
  IoThread::Interest interest_ = IoThread::Interest::nothing;
  TimePoint connect_by_{};
  bool opening_ = false;  // inside open()
  std::string failed_at_once_;
  TimePoint last_heard_{};
  NameSource name_source_{*this};
  std::shared_ptr<Resolution> resolution_;
  std::vector<SocketAddress> addresses_;  // still to be tried
  std::optional<TlsStream> tls_;
  std::vector<char> plain_;  // scratch for decrypted bytes
  RespReader reader_;
  std::deque<LoginStep> login_steps_;
  Identity identity_;
  // The connection before this one, if it was lost: what it sent may still be on its way. The
  // server ends it before this one is open, so that what is repeated here finds what is final.
  Identity lost_;
  std::string out_;
  std::size_t taken_ = 0;  // bytes of out_ that left
  std::uint64_t gone_ = 0;
};

}  // namespace mpr::redis
