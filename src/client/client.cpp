#include <mpr/client.hpp>
#include <type_traits>

#include "client/answers.hpp"
#include "client/options.hpp"
#include "client/parameters.hpp"
#include "client/upkeep.hpp"

namespace mpr::client {
namespace {

// Hands the result to `done` in its type, or says that it is not what the protocol promises.
template <class T, class Read>
Caller::Finish typed(std::string_view method, Read read, Done<T> done) {
  return [method, read, done = std::move(done)](Outcome<std::string_view> answer) mutable {
    if (!answer) return done(std::unexpected(std::move(answer.error())));
    auto value = read(*answer);
    if (!value) {
      return done(std::unexpected(CallError{ErrorKind::unexpected_answer, 0, std::string(method),
                                            "the answer is not what the protocol says"}));
    }
    if constexpr (std::is_void_v<T>) {
      done({});
    } else {
      done(std::move(*value));
    }
  };
}

std::optional<std::string_view> anything_in(std::string_view json) { return json; }

Caller::Traits in_order() { return {}; }

// An acknowledgement that waited is sent before the live sessions are opened again: otherwise the
// gateway would deliver once more what it is about.
Caller::Traits before_opening() {
  Caller::Traits traits;
  traits.place = Caller::Place::before_opening;
  return traits;
}

constexpr std::string_view kBadPayload = "payload: must be a JSON object, not nested too deep";

}  // namespace

std::string_view to_string(ErrorKind kind) {
  constexpr std::string_view kNames[] = {
      "not_connected",      "no_connection",     "timed_out",    "queue_full", "unexpected_answer",
      "invalid_parameters", "untrusted",         "unauthorized", "too_large",  "quota_exceeded",
      "unavailable",        "deadline_exceeded", "remote"};
  return kNames[static_cast<std::size_t>(kind)];
}

std::string_view to_string(LogLevel level) {
  constexpr std::string_view kNames[] = {"debug", "info", "warning"};
  return kNames[static_cast<std::size_t>(level)];
}

std::string CallError::text() const {
  std::string text = method + ": " + std::string(to_string(kind));
  if (code != 0) text += " (" + std::to_string(code) + ")";
  return details.empty() ? text : text + ": " + details;
}

Client::Client(boost::asio::io_context& io, ClientOptions options)
    : upkeep_(std::make_shared<Upkeep>(io, std::move(options))) {}
Client::~Client() { upkeep_->abandon(); }

void Client::on_event(std::move_only_function<void(ServerEvent)> handler) {
  upkeep_->set_on_event(std::move(handler));
}
void Client::on_log(std::move_only_function<void(LogLevel, std::string_view)> handler) {
  upkeep_->set_on_log(std::move(handler));
}
void Client::connect(Done<void> done) { upkeep_->connect(std::move(done)); }
bool Client::connected() const noexcept { return upkeep_->connected(); }
const std::string& Client::client_id() const noexcept { return upkeep_->client_id(); }
void Client::close(std::move_only_function<void()> done) { upkeep_->close(std::move(done)); }

// --- messages -----------------------------------------------------------------------------------

void Client::add_message(NewMessage message, Done<AddedMessage> done) {
  constexpr std::string_view kMethod = "addMessage";
  Caller::Finish finish = typed<AddedMessage>(kMethod, added_in, std::move(done));
  if (!is_payload(message.payload)) {
    return upkeep_->refuse(kMethod, ErrorKind::invalid_parameters, std::string(kBadPayload),
                           std::move(finish));
  }
  if (message.message_id.empty()) message.message_id = make_message_id();
  upkeep_->call(kMethod, parameters_of(message), in_order(), std::move(finish));
}

void Client::add_messages(std::vector<NewMessage> messages, Done<std::vector<AddedMessage>> done) {
  constexpr std::string_view kMethod = "addMessages";
  Caller::Finish finish = typed<std::vector<AddedMessage>>(kMethod, all_added_in, std::move(done));
  for (std::size_t i = 0; i < messages.size(); ++i) {
    if (!is_payload(messages[i].payload)) {
      return upkeep_->refuse(kMethod, ErrorKind::invalid_parameters,
                             "messages[" + std::to_string(i) + "]." + std::string(kBadPayload),
                             std::move(finish));
    }
    if (messages[i].message_id.empty()) messages[i].message_id = make_message_id();
  }
  upkeep_->call(kMethod, parameters_of(messages), in_order(), std::move(finish));
}

void Client::take_from_queue(TakeRequest request, Done<std::vector<QueuedMessage>> done) {
  constexpr std::string_view kMethod = "takeFromQueue";
  std::string params = parameters_of(request);
  Caller::Traits traits;
  if (request.deletion == Deletion::in_the_take) traits.repeat = Caller::Repeat::never;
  if (request.deletion == Deletion::after_receipt) {
    done = [upkeep = upkeep_.get(), connection_id = std::move(request.connection_id),
            then = std::move(done)](Outcome<std::vector<QueuedMessage>> taken) mutable {
      if (!taken || taken->empty()) return then(std::move(taken));
      std::vector<std::string> ids;
      for (const QueuedMessage& message : *taken) ids.push_back(message.id);
      // The messages are here: should removing them fail, they come again, which is better than
      // that they do not come.
      upkeep->call("removeMessages", removal_parameters(connection_id, ids), before_opening(),
                   [upkeep, taken = std::move(taken),
                    then = std::move(then)](const Outcome<std::string_view>& removed) mutable {
                     if (!removed) {
                       upkeep->note(LogLevel::warning, "messages that were taken come again: " +
                                                           removed.error().text());
                     }
                     then(std::move(taken));
                   });
    };
  }
  upkeep_->call(kMethod, std::move(params), std::move(traits),
                typed<std::vector<QueuedMessage>>(kMethod, messages_in, std::move(done)));
}

void Client::available_message_count(QueueSelection selection, Done<std::uint64_t> done) {
  constexpr std::string_view kMethod = "getAvailableMessageCount";
  upkeep_->call(kMethod, parameters_of(selection), in_order(),
                typed<std::uint64_t>(kMethod, count_in, std::move(done)));
}

void Client::queue_status(QueueSelection selection, Done<QueueStatus> done) {
  constexpr std::string_view kMethod = "getQueueStatus";
  upkeep_->call(kMethod, parameters_of(selection), in_order(),
                typed<QueueStatus>(kMethod, status_in, std::move(done)));
}

void Client::remove_messages(std::string connection_id, std::vector<std::string> message_ids,
                             Done<void> done) {
  constexpr std::string_view kMethod = "removeMessages";
  upkeep_->call(kMethod, removal_parameters(connection_id, message_ids), before_opening(),
                typed<void>(kMethod, boolean_in, std::move(done)));
}

void Client::acknowledge(std::string connection_id, std::vector<std::string> message_ids,
                         Done<Acknowledgement> done) {
  constexpr std::string_view kMethod = "acknowledge";
  upkeep_->call(kMethod, removal_parameters(connection_id, message_ids), before_opening(),
                typed<Acknowledgement>(kMethod, acknowledgement_in, std::move(done)));
}

void Client::remove_all_messages(QueueSelection selection, Done<void> done) {
  constexpr std::string_view kMethod = "removeAllMessages";
  upkeep_->call(kMethod, parameters_of(selection), in_order(),
                typed<void>(kMethod, boolean_in, std::move(done)));
}

// --- live sessions ------------------------------------------------------------------------------

void Client::add_live_session(std::string connection_id, std::string session_id, Done<bool> done) {
  constexpr std::string_view kMethod = "addLiveSession";
  upkeep_->want_session(connection_id, session_id);
  upkeep_->call(kMethod, session_parameters(connection_id, &session_id),
                upkeep_->session_traits(connection_id),
                typed<bool>(kMethod, boolean_in,
                            [upkeep = upkeep_.get(), connection_id, session_id,
                             done = std::move(done)](Outcome<bool> opened) mutable {
                              if (opened && *opened) {
                                upkeep->session_opened(connection_id, session_id);
                              }
                              done(std::move(opened));
                            }));
}

void Client::remove_live_session(std::string connection_id, std::optional<std::string> session_id,
                                 Done<bool> done) {
  constexpr std::string_view kMethod = "removeLiveSession";
  const std::string* only = session_id ? &*session_id : nullptr;
  upkeep_->forget_session(connection_id, only);
  upkeep_->call(kMethod, session_parameters(connection_id, only),
                upkeep_->session_traits(connection_id),
                typed<bool>(kMethod, boolean_in, std::move(done)));
}

void Client::has_live_session(std::string connection_id, Done<bool> done) {
  constexpr std::string_view kMethod = "getLiveSession";
  upkeep_->call(kMethod, connection_parameters(connection_id), in_order(),
                typed<bool>(kMethod, boolean_in, std::move(done)));
}

// --- the gateway itself -------------------------------------------------------------------------

void Client::ping(Done<void> done) {
  upkeep_->call("ping", {}, in_order(), typed<void>("ping", anything_in, std::move(done)));
}

void Client::list_methods(Done<std::vector<std::string>> done) {
  constexpr std::string_view kMethod = "__listMethods";
  upkeep_->call(kMethod, {}, in_order(),
                typed<std::vector<std::string>>(kMethod, names_in, std::move(done)));
}

}  // namespace mpr::client
