#include "client/upkeep.hpp"

#include <boost/asio/post.hpp>

#include "client/answers.hpp"
#include "client/options.hpp"
#include "client/parameters.hpp"

namespace mpr::client {
namespace {

constexpr std::string_view kEvents =
    R"(["messagesReceived","liveSessionReplaced","serverDraining","pushTokenInvalid"])";
// How long close() waits for its sessions to end.
constexpr std::chrono::seconds kReleasePatience{1};
// What a phone is handed at once after an outage; its acknowledgement tells it of anything more.
constexpr std::uint64_t kCatchUpLimit = 50;

}  // namespace

Client::Upkeep::Upkeep(boost::asio::io_context& io, ClientOptions options)
    : io_(io),
      options_(checked(std::move(options))),
      link_(io, link_options(options_), *this, journal_),
      caller_(io, call_limits(options_), link_, journal_),
      release_timer_(io) {}

void Client::Upkeep::connect(Done<void> done) {
  caller_.owned_by(weak_from_this());
  link_.owned_by(weak_from_this());
  if (state_ != State::idle) {
    return refuse("connect", ErrorKind::not_connected, "connect() works once for each client",
                  [done = std::move(done)](Outcome<std::string_view> outcome) mutable {
                    done(std::unexpected(std::move(outcome.error())));
                  });
  }
  state_ = State::running;
  on_connect_ = std::move(done);
  caller_.begin();
  link_.start();
}

void Client::Upkeep::call(std::string_view method, std::string params, Caller::Traits traits,
                          Caller::Finish finish) {
  caller_.owned_by(weak_from_this());
  if (state_ != State::running) {
    return refuse(method, ErrorKind::not_connected,
                  state_ == State::idle ? "connect() comes first" : "the client was closed",
                  std::move(finish));
  }
  // A gateway cuts the connection for such a text, and with it every other call.
  if (!is_utf8(params)) {
    return refuse(method, ErrorKind::invalid_parameters, "a text is not UTF-8", std::move(finish));
  }
  caller_.call(method, std::move(params), std::move(traits), std::move(finish));
}

// --- live sessions ------------------------------------------------------------------------------

const std::string* Client::Upkeep::session_of(const std::string& connection_id) const {
  const auto found = sessions_.find(connection_id);
  return found == sessions_.end() ? nullptr : &found->second.id;
}

void Client::Upkeep::want_session(const std::string& connection_id, const std::string& session_id) {
  if (state_ == State::running) sessions_[connection_id] = {session_id, false};
}

void Client::Upkeep::session_opened(const std::string& connection_id,
                                    const std::string& session_id) {
  const auto found = sessions_.find(connection_id);
  if (found != sessions_.end() && found->second.id == session_id) found->second.opened = true;
}

void Client::Upkeep::forget_session(const std::string& connection_id,
                                    const std::string* session_id) {
  const std::string* present = session_of(connection_id);
  if (present && (!session_id || *session_id == *present)) sessions_.erase(connection_id);
}

Caller::Traits Client::Upkeep::session_traits(const std::string& connection_id) const {
  const std::string* present = session_of(connection_id);
  Caller::Traits traits;
  traits.session_of = connection_id;
  traits.still_wanted = [this, connection_id,
                         wanted = present ? std::optional(*present) : std::nullopt] {
    const std::string* now = session_of(connection_id);
    return wanted ? now && *now == *wanted : !now;
  };
  return traits;
}

// --- the connection comes and goes --------------------------------------------------------------

void Client::Upkeep::opened() {
  caller_.connected([this] {
    subscribe();
    open_sessions_again();
  });
}

void Client::Upkeep::subscribe() {
  caller_.call_now("rpc.on", std::string(kEvents), [this](Outcome<std::string_view> answer) {
    if (!answer) return link_.abandon("no subscription: " + answer.error().text());
    if (on_connect_) std::exchange(on_connect_, nullptr)({});
  });
}

void Client::Upkeep::open_sessions_again() {
  // What waits about a session will be sent in its own turn.
  const std::set<std::string> waiting = caller_.pending_sessions();
  for (const auto& [connection_id, session] : sessions_) {
    if (waiting.contains(connection_id)) continue;
    caller_.call("addLiveSession",
                 session.opened ? resume_parameters(connection_id, session.id)
                                : session_parameters(connection_id, &session.id),
                 session_traits(connection_id),
                 [this, connection_id, id = session.id](Outcome<std::string_view> answer) {
                   opened_again(connection_id, id, answer);
                 });
  }
}

void Client::Upkeep::opened_again(const std::string& connection_id, const std::string& session_id,
                                  const Outcome<std::string_view>& answer) {
  // The next reconnect tries again; its messages stay in the queue.
  if (!answer) {
    return note(LogLevel::warning,
                "the live session of " + connection_id + " is not open: " + answer.error().text());
  }
  if (*answer == "true") {
    session_opened(connection_id, session_id);
    return catch_up(connection_id, session_id);
  }
  // The phone went elsewhere meanwhile.
  const std::string* present = session_of(connection_id);
  if (!present || *present != session_id) return;
  forget_session(connection_id, &session_id);
  tell(LiveSessionReplaced{connection_id, session_id});
}

// Opening a session delivers nothing by itself, and the phone does not know that there was an
// outage: what came meanwhile is fetched for it.
void Client::Upkeep::catch_up(const std::string& connection_id, const std::string& session_id) {
  TakeRequest request;
  request.connection_id = connection_id;
  request.limit = kCatchUpLimit;
  Caller::Traits traits;
  traits.still_wanted = session_traits(connection_id).still_wanted;
  caller_.call("takeFromQueue", parameters_of(request), std::move(traits),
               [this, connection_id, session_id](Outcome<std::string_view> answer) {
                 const std::string* present = session_of(connection_id);
                 if (!answer || !present || *present != session_id) return;
                 auto messages = messages_in(*answer);
                 if (!messages || messages->empty()) return;
                 tell(MessagesReceived{connection_id, std::move(*messages)});
               });
}

void Client::Upkeep::event(const Event& event) {
  std::optional<ServerEvent> known = event_in(event.method, event.params);
  if (!known) {
    return note(LogLevel::debug,
                "ignored an event that is not known: " + std::string(event.method));
  }
  if (const auto* replaced = std::get_if<LiveSessionReplaced>(&*known)) {
    forget_session(replaced->connection_id, &replaced->session_id);
  }
  const bool draining = std::holds_alternative<ServerDraining>(*known);
  tell(std::move(*known));
  if (draining) caller_.drain();
}

void Client::Upkeep::tell(ServerEvent event) {
  if (state_ == State::running && on_event_) on_event_(std::move(event));
}

void Client::Upkeep::lost(const std::string& why) {
  caller_.disconnected(why);
  if (on_connect_) failed(why, Link::Refusal::none);
}

void Client::Upkeep::failed(const std::string& why, Link::Refusal refusal) {
  caller_.attempt_failed(why);
  if (!on_connect_ || options_.first_connect == FirstConnect::retry) return;
  if (refusal == Link::Refusal::unauthorized) {
    shut_down({ErrorKind::unauthorized, 401, "connect", why});
  } else if (link_.all_failed()) {
    const bool untrusted = refusal == Link::Refusal::untrusted;
    shut_down({untrusted ? ErrorKind::untrusted : ErrorKind::no_connection, 0, "connect", why});
  }
}

// --- closing ------------------------------------------------------------------------------------

void Client::Upkeep::close(std::move_only_function<void()> done) {
  if (done) on_closed_.push_back(std::move(done));
  if (state_ == State::closing) return;
  const bool may_release = state_ == State::running && link_.open() && !sessions_.empty();
  state_ = State::closing;
  if (may_release) return release_sessions();
  boost::asio::post(io_, [owner = weak_from_this()] {
    const auto held = owner.lock();
    if (held) held->shut_down({ErrorKind::not_connected, 0, "connect", "the client was closed"});
  });
}

void Client::Upkeep::release_sessions() {
  const auto open = std::exchange(sessions_, {});
  const CallError closed{ErrorKind::not_connected, 0, "connect", "the client was closed"};
  releases_ = open.size();
  for (const auto& [connection_id, session] : open) {
    Caller::Traits once;
    once.still_wanted = [] { return false; };
    caller_.call("removeLiveSession", session_parameters(connection_id, &session.id),
                 std::move(once), [this, closed](const Outcome<std::string_view>&) {
                   if (--releases_ == 0 && state_ == State::closing) shut_down(closed);
                 });
  }
  release_timer_.expires_after(kReleasePatience);
  release_timer_.async_wait(
      [owner = weak_from_this(), closed](const boost::system::error_code& error) {
        const auto held = owner.lock();
        if (held && !error && held->state_ == State::closing) held->shut_down(closed);
      });
}

void Client::Upkeep::shut_down(CallError error) {
  if (state_ == State::over && on_closed_.empty()) return;
  state_ = State::over;
  release_timer_.cancel();
  link_.stop();
  caller_.end(error.kind, error.details);
  if (on_connect_) std::exchange(on_connect_, nullptr)(std::unexpected(std::move(error)));
  for (auto& done : std::exchange(on_closed_, {})) done();
}

void Client::Upkeep::abandon() {
  state_ = State::over;
  on_connect_ = nullptr;
  on_closed_.clear();
  release_timer_.cancel();
  link_.stop();
  caller_.drop();
}

}  // namespace mpr::client
