#include <boost/asio/io_context.hpp>
#include <iostream>
#include <mpr/client.hpp>

// Opens a phone's live session, sends it a message, prints what comes and acknowledges it.
int main(int argc, char** argv) {
  boost::asio::io_context io{1};
  mpr::client::ClientOptions options;
  options.urls = {"ws://127.0.0.1:3100", "ws://127.0.0.1:3200"};
  if (argc > 1) options.urls.assign(argv + 1, argv + argc);
  mpr::client::Client client(io, options);

  client.on_log([](mpr::client::LogLevel level, std::string_view sentence) {
    std::cerr << to_string(level) << ": " << sentence << "\n";
  });
  client.on_event([&](mpr::client::ServerEvent event) {
    const auto* received = std::get_if<mpr::client::MessagesReceived>(&event);
    if (!received) return;
    std::vector<std::string> ids;
    for (const auto& message : received->messages) {
      std::cout << message.id << " " << message.payload << "\n";
      ids.push_back(message.id);
    }
    client.acknowledge(received->connection_id, ids, [&](auto) { client.close(); });
  });
  client.connect([&](mpr::client::Outcome<void> connected) {
    if (!connected) {
      std::cerr << connected.error().text() << "\n";
      return;
    }
    client.add_live_session("phone-1", "session-1", [](auto) {});
    mpr::client::NewMessage message;
    message.connection_id = "phone-1";
    message.payload = R"({"ciphertext":"..."})";
    client.add_message(message, [&](mpr::client::Outcome<mpr::client::AddedMessage> added) {
      std::cout << (added ? "kept " + added->message_id : added.error().text()) << std::endl;
      if (!added) client.close();
    });
  });
  io.run();
}
