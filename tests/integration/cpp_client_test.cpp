// The C++ client against the real binary: MPR_BIN in the environment, or the one of this build.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <mpr/client.hpp>
#include <set>
#include <stdexcept>

#include "tests/support/temporary_directory.hpp"
#include "tests/support/tls_terminator.hpp"

namespace mpr::client {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

// `mpr serve` with the embedded store in a directory of its own; the same port over restarts.
class RealGateway {
 public:
  RealGateway() { start(); }
  ~RealGateway() { kill_now(); }
  RealGateway(const RealGateway&) = delete;
  RealGateway& operator=(const RealGateway&) = delete;

  std::string url() const { return "ws://127.0.0.1:" + port_; }
  std::uint16_t port() const { return static_cast<std::uint16_t>(std::stoi(port_)); }

  void kill_now() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }
  void start() {
    const std::string ports_file = (directory_.path() / "ports.json").string();
    std::filesystem::remove(ports_file);
    const std::string data = (directory_.path() / "data").string();
    const char* named = std::getenv("MPR_BIN");
    const std::string binary = named ? named : MPR_BINARY;
    pid_ = ::fork();
    if (pid_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      // Of this process' connections none is to stay open when this process closes it.
      ::close_range(3, ~0U, 0);
      ::setenv("WS_PORT", port_.c_str(), 1);
      ::setenv("APP_PORT", "0", 1);
      ::setenv("MPR_BIND", "127.0.0.1", 1);
      ::setenv("MPR_BACKEND", "embedded", 1);
      ::setenv("MPR_DATA_DIR", data.c_str(), 1);
      ::setenv("MPR_PORTS_FILE", ports_file.c_str(), 1);
      const int log =
          ::open((directory_.path() / "log").c_str(), O_CREAT | O_WRONLY | O_APPEND, 0600);
      ::dup2(log, STDOUT_FILENO);
      ::dup2(log, STDERR_FILENO);
      ::execl(binary.c_str(), "mpr", "serve", static_cast<char*>(nullptr));
      ::_exit(127);
    }
    read_port(ports_file);
  }

 private:
  void read_port(const std::string& ports_file) {
    constexpr std::string_view kName = "\"ws\":";
    const auto until = Clock::now() + 30s;
    while (Clock::now() < until && ::waitpid(pid_, nullptr, WNOHANG) == 0) {
      std::ifstream file(ports_file);
      const std::string text{std::istreambuf_iterator<char>(file), {}};
      const std::size_t at = text.find(kName);
      const std::size_t first = at == std::string::npos
                                    ? std::string::npos
                                    : text.find_first_of("123456789", at + kName.size());
      if (first != std::string::npos) {
        port_ = text.substr(first, text.find_first_not_of("0123456789", first) - first);
        return;
      }
      ::usleep(2000);
    }
    throw std::runtime_error("the gateway does not start");
  }

  const test::TemporaryDirectory directory_;
  std::string port_ = "0";
  pid_t pid_ = 0;
};

enum class Way { plain, through_tls };

class CppClientTest : public testing::TestWithParam<Way> {
 protected:
  std::unique_ptr<Client> make_client() {
    ClientOptions options;
    options.urls = {GetParam() == Way::plain ? gateway.url() : terminator.url()};
    options.tls.ca_file = authority.file();
    options.total_timeout = 60s;
    options.reconnect_cap = 100ms;
    auto client = std::make_unique<Client>(io, options);
    bool connected = false;
    client->connect([&](const Outcome<void>& outcome) { connected = outcome.has_value(); });
    run_until([&] { return connected; });
    return client;
  }
  template <class Condition>
  void run_until(Condition holds) {
    const auto until = Clock::now() + 60s;
    while (!holds() && io.run_one_until(until) > 0) {
    }
    ASSERT_TRUE(holds());
  }
  // Adds messages one after the other; each payload is its number.
  void add_up_to(int last) {
    if (added >= last) return;
    NewMessage message{.connection_id = "phone-1"};
    message.payload = "{\"n\":" + std::to_string(added) + "}";
    sender->add_message(message, [this, last](const Outcome<AddedMessage>& outcome) {
      ASSERT_TRUE(outcome) << outcome.error().text();
      ++added;
      add_up_to(last);
    });
  }
  void hand_over(ServerEvent event) {
    auto* received = std::get_if<MessagesReceived>(&event);
    if (!received) return;
    std::vector<std::string> ids;
    for (const QueuedMessage& message : received->messages) {
      ids.push_back(message.id);
      got[message.payload].insert(message.id);
    }
    mediator->acknowledge(received->connection_id, ids,
                          [this, id = received->connection_id](const auto& outcome) {
                            ASSERT_TRUE(outcome) << outcome.error().text();
                            if (outcome->remaining > 0) ask_for_more(id);
                          });
  }
  // What the client fetches after an outage is bounded; a phone asks for the rest.
  void ask_for_more(const std::string& connection_id) {
    mediator->take_from_queue({.connection_id = connection_id},
                              [this, connection_id](auto outcome) {
                                ASSERT_TRUE(outcome) << outcome.error().text();
                                if (outcome->empty()) return;
                                hand_over(MessagesReceived{connection_id, std::move(*outcome)});
                              });
  }

  boost::asio::io_context io{1};
  RealGateway gateway;
  const test::CertificateAuthority authority{"Test authority"};
  test::TlsTerminator terminator{io, [this] { return gateway.port(); },
                                 authority.issue("DNS:localhost")};
  std::unique_ptr<Client> sender;
  std::unique_ptr<Client> mediator;
  int added = 0;
  std::map<std::string, std::set<std::string>> got;  // ids by payload
};

TEST_P(CppClientTest, LosesAndDoublesNothingWhenTheGatewayIsKilledInTheMiddle) {
  constexpr int kMessages = 90;
  sender = make_client();
  mediator = make_client();
  mediator->on_event([this](ServerEvent event) { hand_over(std::move(event)); });
  bool opened = false;
  mediator->add_live_session("phone-1", "session-1",
                             [&](const Outcome<bool>& outcome) { opened = outcome && *outcome; });
  run_until([&] { return opened; });

  add_up_to(kMessages);
  for (const int moment : {30, 60}) {
    run_until([&] { return added >= moment; });
    gateway.kill_now();
    gateway.start();
  }
  run_until([&] { return added == kMessages && got.size() == kMessages; });
  std::optional<QueueStatus> status;
  const auto ask = [&] {
    status.reset();
    mediator->queue_status({.connection_id = "phone-1"}, [&](const Outcome<QueueStatus>& outcome) {
      ASSERT_TRUE(outcome) << outcome.error().text();
      status = *outcome;
    });
    run_until([&] { return status.has_value(); });
  };
  const auto until = Clock::now() + 30s;
  do {
    ask();
  } while (status && status->message_count + status->in_flight > 0 && Clock::now() < until);

  ASSERT_TRUE(status);
  EXPECT_EQ(status->message_count + status->in_flight, 0u);
  EXPECT_TRUE(status->live_delivery);
  for (const auto& [payload, ids] : got)
    EXPECT_EQ(ids.size(), 1u) << payload << " was stored twice";
}

TEST_P(CppClientTest, CarriesLargePayloadsBothWays) {
  sender = make_client();
  const std::string payload = R"({"ciphertext":")" + std::string(900'000, 'x') + R"("})";
  constexpr int kMessages = 8;  // one answer holds 8 MiB
  int kept = 0;
  for (int i = 0; i < kMessages; ++i) {
    NewMessage message{.connection_id = "phone-1"};
    message.payload = payload;
    sender->add_message(std::move(message),
                        [&](const Outcome<AddedMessage>& outcome) { kept += outcome ? 1 : 0; });
  }
  run_until([&] { return kept == kMessages; });
  std::optional<Outcome<std::vector<QueuedMessage>>> taken;
  sender->take_from_queue({.connection_id = "phone-1", .limit = kMessages},
                          [&](auto outcome) { taken = std::move(outcome); });
  run_until([&] { return taken.has_value(); });

  ASSERT_TRUE(*taken) << taken->error().text();
  ASSERT_EQ((*taken)->size(), std::size_t{kMessages});
  for (const QueuedMessage& message : **taken) EXPECT_TRUE(message.payload == payload);
}

INSTANTIATE_TEST_SUITE_P(Ways, CppClientTest, testing::Values(Way::plain, Way::through_tls),
                         [](const testing::TestParamInfo<Way>& way) {
                           return way.param == Way::plain ? "Plain" : "ThroughTls";
                         });

}  // namespace
}  // namespace mpr::client
