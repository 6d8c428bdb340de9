// The client of the Message Pickup Repository: its methods as asynchronous calls, its events as one
// callback, over a connection that comes back by itself, at whichever of several gateways is there.
//
// A call waits while there is no connection, is sent again when the connection broke before its
// answer, and is repeated when the gateway says that it cannot at the moment; all of that within
// total_timeout. Repeating stores nothing twice, because every message is added with an id.
//
// Everything happens on the one thread that runs the io_context: calls, callbacks, destruction. The
// io_context outlives the client. No callback comes from inside the call that takes it. A callback
// may call, close or destroy the client; it must not throw. What the client does by itself it says
// to on_log(), and to nobody else.
//
// For `co_await` see mpr/awaitable_client.hpp.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace boost::asio {
class io_context;
}

namespace mpr::client {

// --- how a call ends ----------------------------------------------------------------------------

enum class ErrorKind {
  not_connected,       // before connect(), or after close(); if it had been sent, it may have taken
                       // effect
  no_connection,       // none in total_timeout; if it had been sent, it may have taken effect
  timed_out,           // sent, and no answer; it may have taken effect
  queue_full,          // too much waits for a connection already; not sent
  unexpected_answer,   // not what the protocol says; it may have taken effect
  invalid_parameters,  // refused, or not even sent; the details begin with the parameter's name
  untrusted,           // connect(): the certificate of the last gateway is not accepted, by its
                       // authority, its name or its time
  unauthorized,        // refused: a token is required, or the one given is wrong
  too_large,           // refused: a payload is larger than the gateway takes
  quota_exceeded,      // refused: the queue of the connection, or the store, is full
  unavailable,         // the store refused until the time was up; it may have taken effect
  deadline_exceeded,   // the gateway did not finish in time; it may have taken effect
  remote,              // another error of the gateway, see `code`
};

// The name of a kind as it stands above, for example "timed_out".
std::string_view to_string(ErrorKind kind);

struct CallError {
  ErrorKind kind = ErrorKind::remote;
  int code = 0;           // the gateway's JSON-RPC code; 0: the error arose on this side
  std::string method{};   // as docs/protocol.md names it
  std::string details{};  // readable; never a payload or a token

  // "addMessage: quota_exceeded: the queue of ... is full"
  std::string text() const;
};

template <class T>
using Outcome = std::expected<T, CallError>;
// Called exactly once, unless the client is destroyed first.
template <class T>
using Done = std::move_only_function<void(Outcome<T>)>;

// --- what goes in and comes out -----------------------------------------------------------------

// Wall-clock time in milliseconds since 1970-01-01T00:00:00Z.
using Time = std::chrono::sys_time<std::chrono::milliseconds>;

struct PushToken {
  std::string type{};  // "fcm", "apns" or "webhook"
  std::string token{};
  std::string project{};  // empty: the gateway's own
};

struct NewMessage {
  std::string connection_id{};
  std::vector<std::string> recipient_dids{};
  std::string payload{};  // the encrypted message, a JSON object, kept byte for byte
  std::optional<PushToken> push_token{};  // where to wake the phone
  std::string message_id{};               // your own; empty: the client makes one
  std::optional<Time> received_at{};      // when you received it; now, unless said
  std::optional<std::chrono::seconds>
      ttl{};  // how long it is worth delivering; unless said, for ever
};

struct AddedMessage {
  std::string message_id{};
  Time received_at{};
};

struct QueuedMessage {
  std::string id{};
  Time received_at{};
  std::string payload{};  // the bytes that were added
};

// The messages of a connection, or those of them that are for one recipient.
struct QueueSelection {
  std::string connection_id{};
  std::optional<std::string> recipient_did{};
};

enum class Deletion {
  none,           // the messages stay until they are acknowledged
  after_receipt,  // once they are here: an answer that is lost on the way loses nothing
  in_the_take,    // by the take itself: one round trip less; never repeated once it was sent
};

struct TakeRequest {
  std::string connection_id{};
  std::optional<std::string> recipient_did{};
  std::optional<std::uint64_t> limit{};        // most messages
  std::optional<std::uint64_t> limit_bytes{};  // most payload bytes; one message always fits
  Deletion deletion = Deletion::none;
};

struct QueueStatus {
  std::uint64_t message_count = 0;
  std::uint64_t total_bytes = 0;
  std::optional<Time> oldest_received{};
  std::optional<Time> newest_received{};
  std::optional<std::chrono::seconds> longest_waited{};
  std::uint64_t in_flight = 0;  // delivered and not acknowledged; not part of message_count
  bool live_delivery = false;
};

struct Acknowledgement {
  std::uint64_t removed = 0;    // how many of the ids were in the queue
  std::uint64_t remaining = 0;  // what available_message_count() would say now
};

// --- what the gateway says by itself ------------------------------------------------------------

// Messages for a live session of this client. At least once: one that is not acknowledged comes
// again, with the same id.
struct MessagesReceived {
  std::string connection_id{};
  std::vector<QueuedMessage> messages{};
};
// Another client has taken the session over; this one does not open it again.
struct LiveSessionReplaced {
  std::string connection_id{};
  std::string session_id{};
};
// The gateway stops. The client goes to the next one by itself.
struct ServerDraining {
  std::chrono::milliseconds grace{};
};
// A push provider does not know a phone's token any more.
struct PushTokenInvalid {
  std::string connection_id{};
  std::string type{};
  std::string token_sha256{};
  std::string reason{};
};
using ServerEvent =
    std::variant<MessagesReceived, LiveSessionReplaced, ServerDraining, PushTokenInvalid>;

// --- what it does by itself ---------------------------------------------------------------------

enum class LogLevel {
  debug,    // calls that are repeated
  info,     // connections that are made
  warning,  // connections that end, attempts that fail, sessions that cannot be opened again
};
std::string_view to_string(LogLevel level);

// --- the client ---------------------------------------------------------------------------------

// What connect() does when no gateway is there.
enum class FirstConnect {
  fail,   // fails when every address has failed once
  retry,  // goes on for as long as it takes
};

// For wss:// addresses. The certificate of the gateway, or of the proxy in front of it, is always
// checked: that a known authority signed it, that it is valid today, and that it names the host.
struct TlsOptions {
  std::string ca_file{};      // PEM, the authorities to trust; empty: those of the system
  std::string server_name{};  // that the certificate has to name; empty: the host of the address
  std::string certificate_file{};  // PEM, with its chain; for gateways that ask for one
  std::string key_file{};          // PEM, of that certificate, not encrypted
};

struct ClientOptions {
  // ws://host:port[/path] or wss://..., gateways of one repository, tried in this order.
  std::vector<std::string> urls{};
  TlsOptions tls{};         // the files are read by the constructor
  std::string token{};      // for gateways that require one; empty: no login
  std::string client_id{};  // names this client in the gateway's log, over all reconnects; empty:
                            // host, process and a random part
  FirstConnect first_connect = FirstConnect::fail;
  std::chrono::milliseconds call_timeout{2000};     // for the answer to one attempt
  std::chrono::milliseconds total_timeout{10'000};  // for a call in all, waiting included
  std::size_t max_queued_calls = 10'000;            // that wait for a connection; more are refused
  std::size_t max_queued_bytes = std::size_t{64} << 20;
  std::size_t max_request_bytes = std::size_t{32} << 20;  // larger calls are refused; gateways
                                                          // close on larger frames
  std::chrono::milliseconds connect_timeout{5000};        // for one attempt, login included
  std::chrono::milliseconds heartbeat{5000};  // a silent gateway is asked after this time, given up
                                              // after twice as long
  std::chrono::milliseconds reconnect_base{100};  // wait after all gateways failed, doubled each
                                                  // round; half of it is chance
  std::chrono::milliseconds reconnect_cap{5000};  // longest such wait
};

class Client {
 public:
  // Does not connect. Throws std::invalid_argument that names what is wrong with the options.
  Client(boost::asio::io_context& io, ClientOptions options);
  // Cuts the connection. Callbacks that are due are destroyed without being called.
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // To be set before connect().
  void on_event(std::move_only_function<void(ServerEvent)> handler);
  // A sentence for each thing that the client does by itself; never a payload or a token. To be set
  // before connect(). The handler is also called inside of calls, and must not use the client.
  void on_log(std::move_only_function<void(LogLevel, std::string_view)> handler);

  // Connects and subscribes to the events. From here to close(), the client reconnects for ever,
  // and calls wait for it. At most once; when it failed, make another client.
  void connect(Done<void> done);
  bool connected() const noexcept;
  const std::string& client_id() const noexcept;

  // Ends the live sessions, waiting for their answers for a second at most, then closes. No event
  // comes from here on. Calls without an answer fail with not_connected; `done` is the very last
  // callback.
  void close(std::move_only_function<void()> done = {});

  // Stores a message; answered means kept.
  void add_message(NewMessage message, Done<AddedMessage> done);
  // For one connection or many, at most 10,000; the answers are in the order of the messages.
  void add_messages(std::vector<NewMessage> messages, Done<std::vector<AddedMessage>> done);
  // Oldest first; empty when there are none.
  void take_from_queue(TakeRequest request, Done<std::vector<QueuedMessage>> done);
  void available_message_count(QueueSelection selection, Done<std::uint64_t> done);
  void queue_status(QueueSelection selection, Done<QueueStatus> done);
  // Ids that are not in the queue are ignored. acknowledge() also says what is left.
  void remove_messages(std::string connection_id, std::vector<std::string> message_ids,
                       Done<void> done);
  void acknowledge(std::string connection_id, std::vector<std::string> message_ids,
                   Done<Acknowledgement> done);
  void remove_all_messages(QueueSelection selection, Done<void> done);

  // Opens a live session: messages of the connection come to on_event(). Until it is removed or
  // replaced it is opened again after every reconnect, and the first 50 of the messages that wait
  // then come to on_event(); acknowledge() says how many remain. A phone that went elsewhere
  // meanwhile is left there (LiveSessionReplaced). False: the session was removed or replaced
  // before a gateway heard of it.
  void add_live_session(std::string connection_id, std::string session_id, Done<bool> done);
  // With a session id: only that session. False: there was none, or somebody else holds it.
  void remove_live_session(std::string connection_id, std::optional<std::string> session_id,
                           Done<bool> done);
  // Whether the connection has a live session, at any client.
  void has_live_session(std::string connection_id, Done<bool> done);

  void ping(Done<void> done);
  // The names of the gateway's methods. rpc.on and rpc.login are made by the client itself.
  void list_methods(Done<std::vector<std::string>> done);

 private:
  class Upkeep;
  std::shared_ptr<Upkeep> upkeep_;
};

}  // namespace mpr::client
