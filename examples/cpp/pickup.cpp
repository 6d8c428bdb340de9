// A mediator in small: keeps a message for a phone, holds the phone's live session, hands over what
// comes and acknowledges it.
//
//   pickup [URL]                          ws://127.0.0.1:3100 unless said
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <cstdlib>
#include <iostream>
#include <mpr/awaitable_client.hpp>
#include <mpr/client.hpp>

namespace {

using mpr::client::AwaitableClient;
using mpr::client::CallError;
using mpr::client::Client;

int complain(const CallError& error) {
  std::cerr << error.text() << "\n";
  return EXIT_FAILURE;
}

boost::asio::awaitable<int> keep_a_message(AwaitableClient& client) {
  const auto connected = co_await client.connect();
  if (!connected) co_return complain(connected.error());
  const auto opened = co_await client.add_live_session("phone-1", "session-1");
  if (!opened) co_return complain(opened.error());

  mpr::client::NewMessage message;
  message.connection_id = "phone-1";
  message.recipient_dids = {"did:key:z6MkA"};
  message.payload = R"({"protected":"eyJhbGciOiJFQ0RILUVTK0EyNTZLVyJ9","ciphertext":"m1"})";
  const auto added = co_await client.add_message(std::move(message));
  if (!added) co_return complain(added.error());
  std::cout << "kept " << added->message_id << "\n";
  co_return EXIT_SUCCESS;
}

boost::asio::awaitable<void> start(AwaitableClient& client, boost::asio::io_context& io,
                                   int& outcome) {
  outcome = co_await keep_a_message(client);
  if (outcome != EXIT_SUCCESS) io.stop();
}

boost::asio::awaitable<void> hand_over(AwaitableClient& client, boost::asio::io_context& io,
                                       mpr::client::MessagesReceived received, int& outcome) {
  std::vector<std::string> ids;
  for (const auto& message : received.messages) {
    std::cout << received.connection_id << " gets " << message.id << " " << message.payload << "\n";
    ids.push_back(message.id);
  }
  const auto left = co_await client.acknowledge(received.connection_id, std::move(ids));
  if (left) {
    std::cout << "acknowledged, " << left->remaining << " left\n";
  } else {
    outcome = complain(left.error());
  }
  co_await client.close();
  io.stop();
}

}  // namespace

int main(int argc, char** argv) {
  boost::asio::io_context io{1};
  mpr::client::ClientOptions options;
  options.urls = {argc > 1 ? argv[1] : "ws://127.0.0.1:3100"};
  Client client(io, std::move(options));
  AwaitableClient awaitable(client);
  int outcome = EXIT_FAILURE;

  client.on_event([&](mpr::client::ServerEvent event) {
    auto* received = std::get_if<mpr::client::MessagesReceived>(&event);
    if (!received) return;
    boost::asio::co_spawn(io, hand_over(awaitable, io, std::move(*received), outcome),
                          boost::asio::detached);
  });
  boost::asio::co_spawn(io, start(awaitable, io, outcome), boost::asio::detached);
  io.run();
  return outcome;
}
