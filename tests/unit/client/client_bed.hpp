// A Client and the gateways that it talks to, on one event loop: scripted servers that note what
// was called, and answer each method as the test says.
#pragma once

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <map>
#include <memory>
#include <mpr/client.hpp>
#include <optional>
#include <string>
#include <vector>

#include "tests/unit/client/scripted_server.hpp"

namespace mpr::client {

class ScriptedGateway {
 public:
  struct Call {
    std::string method;
    std::string params;
    std::string id;
  };

  explicit ScriptedGateway(boost::asio::io_context& io) : server(io) {
    server.on_message = [this](std::string_view text) { take(text); };
  }

  std::string url() const { return "ws://127.0.0.1:" + std::to_string(server.url().port); }

  // Methods in the order in which they came.
  std::vector<std::string> methods() const {
    std::vector<std::string> names;
    for (const Call& call : calls) names.push_back(call.method);
    return names;
  }
  std::size_t count(std::string_view method) const {
    return static_cast<std::size_t>(
        std::ranges::count_if(calls, [&](const Call& call) { return call.method == method; }));
  }

  void answer(const Call& call, std::string_view result_or_error) {
    server.send_text(R"({"jsonrpc":"2.0",)" + std::string(result_or_error) + R"(,"id":)" + call.id +
                     "}");
  }
  void send_event(std::string_view method, std::string_view params) {
    server.send_text(R"({"jsonrpc":"2.0","method":")" + std::string(method) + R"(","params":)" +
                     std::string(params) + "}");
  }

  ScriptedServer server;
  std::vector<Call> calls;
  // "result":... or "error":... by method. Empty: no answer. Absent: the connection is dropped.
  std::map<std::string, std::string, std::less<>> answers = {
      {"rpc.login", R"("result":true)"},
      {"rpc.on", R"("result":{})"},
      {"ping", R"("result":"pong")"},
      {"addMessage", R"("result":{"messageId":"m-1","receivedAt":"2026-01-31T12:00:00.123Z"})"},
      {"addLiveSession", R"("result":true)"},
      {"removeLiveSession", R"("result":true)"},
      {"removeMessages", R"("result":true)"},
      {"acknowledge", R"("result":{"removed":1,"remaining":2})"},
      {"takeFromQueue", R"("result":[])"},
      {"getAvailableMessageCount", R"("result":7)"}};

 private:
  // {"jsonrpc":"2.0","method":"NAME","params":PARAMS,"id":DIGITS}, as RpcClient writes it.
  void take(std::string_view text) {
    constexpr std::string_view kHead = R"({"jsonrpc":"2.0","method":")";
    constexpr std::string_view kParams = R"("params":)";
    const std::size_t name_end = text.find('"', kHead.size());
    const std::size_t id = text.rfind(R"(,"id":)");
    const std::size_t params = name_end + 2 + kParams.size();
    Call call{std::string(text.substr(kHead.size(), name_end - kHead.size())),
              params < id ? std::string(text.substr(params, id - params)) : "",
              std::string(text.substr(id + 6, text.size() - id - 7))};
    calls.push_back(call);
    const auto found = answers.find(call.method);
    if (found == answers.end()) return server.drop();
    if (!found->second.empty()) answer(call, found->second);
  }
};

class ClientBed : public testing::Test {
 protected:
  static ClientOptions quick_options() {
    ClientOptions options;
    options.reconnect_base = std::chrono::milliseconds(1);
    options.reconnect_cap = std::chrono::milliseconds(5);
    return options;
  }

  void make_client(ClientOptions options) {
    if (options.urls.empty()) options.urls = {gateway.url()};
    client = std::make_unique<Client>(io, std::move(options));
    client->on_event([this](ServerEvent event) { events.push_back(std::move(event)); });
  }
  // Connects and forgets the calls that this took.
  void connect(ClientOptions options = quick_options()) {
    make_client(std::move(options));
    std::optional<Outcome<void>> connected;
    client->connect([&](Outcome<void> outcome) { connected = std::move(outcome); });
    run_until([&] { return connected.has_value(); });
    ASSERT_TRUE(*connected) << connected->error().text();
  }
  template <class Condition>
  void run_until(Condition holds) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!holds() && io.run_one_until(until) > 0) {
    }
    ASSERT_TRUE(holds());
  }
  // Runs what is due by the time that the gateway has heard and answered a call.
  void settle() {
    bool answered = false;
    client->ping([&](const Outcome<void>&) { answered = true; });
    run_until([&] { return answered; });
  }
  // Makes a call and runs until it has its outcome.
  template <class T, class Start>
  Outcome<T> outcome_of(Start start) {
    std::optional<Outcome<T>> got;
    start([&](Outcome<T> outcome) { got = std::move(outcome); });
    run_until([&] { return got.has_value(); });
    if (!got) return std::unexpected(CallError{ErrorKind::remote, 0, "test", "no outcome"});
    return std::move(*got);
  }
  Outcome<AddedMessage> add(std::string payload = R"({"n":1})") {
    return outcome_of<AddedMessage>([&](auto done) {
      client->add_message({.connection_id = "phone-1", .payload = payload}, std::move(done));
    });
  }
  Outcome<std::uint64_t> count() {
    return outcome_of<std::uint64_t>([&](auto done) {
      client->available_message_count({.connection_id = "phone-1"}, std::move(done));
    });
  }
  void open_session() {
    const auto opened = outcome_of<bool>(
        [&](auto done) { client->add_live_session("phone-1", "session-1", std::move(done)); });
    ASSERT_TRUE(opened && *opened);
  }

  boost::asio::io_context io{1};
  ScriptedGateway gateway{io};
  std::unique_ptr<Client> client;
  std::vector<ServerEvent> events;
};

}  // namespace mpr::client
