// mpr::client::Client for coroutines of Boost.Asio: the same calls, to be co_awaited. In a header
// of its own, because asio::awaitable costs every file that includes it seconds of compile time.
//
// The coroutine runs on the thread of the client's io_context: co_spawn it there. The client
// outlives this object. When the client is destroyed, coroutines that wait for it are destroyed
// too.
//
// With g++ 12, make the arguments before the co_await expression: that compiler destroys braced
// temporaries inside of one twice.
#pragma once

#include <mpr/client.hpp>

#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

namespace mpr::client {

class AwaitableClient {
 public:
  template <class T>
  using Awaitable = boost::asio::awaitable<Outcome<T>>;

  explicit AwaitableClient(Client& client) : client_(client) {}

  Awaitable<void> connect() { return start<void>(&Client::connect); }
  boost::asio::awaitable<void> close() {
    return boost::asio::async_initiate<const Token, void()>(
        [&client = client_](auto handler) { client.close(std::move(handler)); },
        boost::asio::use_awaitable);
  }

  Awaitable<AddedMessage> add_message(NewMessage message) {
    return start<AddedMessage>(&Client::add_message, std::move(message));
  }
  Awaitable<std::vector<AddedMessage>> add_messages(std::vector<NewMessage> messages) {
    return start<std::vector<AddedMessage>>(&Client::add_messages, std::move(messages));
  }
  Awaitable<std::vector<QueuedMessage>> take_from_queue(TakeRequest request) {
    return start<std::vector<QueuedMessage>>(&Client::take_from_queue, std::move(request));
  }
  Awaitable<std::uint64_t> available_message_count(QueueSelection selection) {
    return start<std::uint64_t>(&Client::available_message_count, std::move(selection));
  }
  Awaitable<QueueStatus> queue_status(QueueSelection selection) {
    return start<QueueStatus>(&Client::queue_status, std::move(selection));
  }
  Awaitable<void> remove_messages(std::string connection_id, std::vector<std::string> ids) {
    return start<void>(&Client::remove_messages, std::move(connection_id), std::move(ids));
  }
  Awaitable<Acknowledgement> acknowledge(std::string connection_id, std::vector<std::string> ids) {
    return start<Acknowledgement>(&Client::acknowledge, std::move(connection_id), std::move(ids));
  }
  Awaitable<void> remove_all_messages(QueueSelection selection) {
    return start<void>(&Client::remove_all_messages, std::move(selection));
  }
  Awaitable<bool> add_live_session(std::string connection_id, std::string session_id) {
    return start<bool>(&Client::add_live_session, std::move(connection_id), std::move(session_id));
  }
  Awaitable<bool> remove_live_session(std::string connection_id,
                                      std::optional<std::string> session_id = {}) {
    return start<bool>(&Client::remove_live_session, std::move(connection_id),
                       std::move(session_id));
  }
  Awaitable<bool> has_live_session(std::string connection_id) {
    return start<bool>(&Client::has_live_session, std::move(connection_id));
  }
  Awaitable<void> ping() { return start<void>(&Client::ping); }
  Awaitable<std::vector<std::string>> list_methods() {
    return start<std::vector<std::string>>(&Client::list_methods);
  }

 private:
  using Token = boost::asio::use_awaitable_t<>;

  // The initiation runs when the coroutine is awaited, so the arguments travel in it.
  template <class T, class Method, class... Arguments>
  Awaitable<T> start(Method method, Arguments... arguments) {
    return boost::asio::async_initiate<const Token, void(Outcome<T>)>(
        [&client = client_, method](auto handler, Arguments... given) {
          (client.*method)(std::move(given)..., std::move(handler));
        },
        boost::asio::use_awaitable, std::move(arguments)...);
  }

  Client& client_;
};

}  // namespace mpr::client
