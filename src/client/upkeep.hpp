// What stands behind a Client: keeps the connection, the live sessions that are to be open, and the
// calls without an answer together, over all reconnects.
//
// One thread. Shared by the Client and, for the length of a callback, by the operations in the
// event loop: so a callback may destroy the Client.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <map>
#include <memory>
#include <mpr/client.hpp>
#include <string>
#include <vector>

#include "client/caller.hpp"
#include "client/journal.hpp"
#include "client/link.hpp"

namespace mpr::client {

class Client::Upkeep final : public Link::Listener, public std::enable_shared_from_this<Upkeep> {
 public:
  Upkeep(boost::asio::io_context& io, ClientOptions options);

  void set_on_event(std::move_only_function<void(ServerEvent)> handler) {
    on_event_ = std::move(handler);
  }
  void set_on_log(Journal::Handler handler) { journal_.set_handler(std::move(handler)); }
  void note(LogLevel level, const std::string& sentence) { journal_.note(level, sentence); }
  void connect(Done<void> done);
  bool connected() const noexcept { return link_.open(); }
  const std::string& client_id() const noexcept { return options_.client_id; }
  void close(std::move_only_function<void()> done);
  // Cuts everything without a word.
  void abandon();

  void call(std::string_view method, std::string params, Caller::Traits traits,
            Caller::Finish finish);
  void refuse(std::string_view method, ErrorKind kind, std::string details, Caller::Finish finish) {
    caller_.refuse(method, kind, std::move(details), std::move(finish));
  }

  // The session that is to be open from now on.
  void want_session(const std::string& connection_id, const std::string& session_id);
  // A gateway has it: after a reconnect it yields to a newer one.
  void session_opened(const std::string& connection_id, const std::string& session_id);
  // The connection's session, or only the one with this id, is not to be opened again.
  void forget_session(const std::string& connection_id, const std::string* session_id);
  // For a call about the connection's session: it is repeated only while the session is still to be
  // as it is now.
  Caller::Traits session_traits(const std::string& connection_id) const;

  // Link::Listener
  void opened() override;
  void event(const Event& event) override;
  void lost(const std::string& why) override;
  void failed(const std::string& why, Link::Refusal refusal) override;

 private:
  enum class State { idle, running, closing, over };

  const std::string* session_of(const std::string& connection_id) const;
  void subscribe();
  void open_sessions_again();
  void opened_again(const std::string& connection_id, const std::string& session_id,
                    const Outcome<std::string_view>& answer);
  void catch_up(const std::string& connection_id, const std::string& session_id);
  void tell(ServerEvent event);
  void release_sessions();
  void shut_down(CallError error);

  boost::asio::io_context& io_;
  const ClientOptions options_;
  Journal journal_;
  Link link_;
  Caller caller_;
  boost::asio::steady_timer release_timer_;
  State state_ = State::idle;
  struct Session {
    std::string id;
    bool opened = false;
  };
  std::map<std::string, Session> sessions_;  // that are to be open, by connection id
  std::move_only_function<void(ServerEvent)> on_event_;
  Done<void> on_connect_;  // until the first connection is subscribed
  std::vector<std::move_only_function<void()>> on_closed_;
  std::size_t releases_ = 0;  // removeLiveSession calls of close() without an answer
};

}  // namespace mpr::client
