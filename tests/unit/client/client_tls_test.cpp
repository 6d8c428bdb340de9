// The client behind wss:// addresses: a TLS terminator in front of scripted gateways.
#include "tests/support/tls_terminator.hpp"
#include "tests/unit/client/client_bed.hpp"

namespace mpr::client {
namespace {

using test::CertificateAuthority;
using test::Identity;
using test::TlsTerminator;

constexpr std::string_view kNames = "DNS:localhost,IP:127.0.0.1";

class ClientTlsTest : public ClientBed {
 protected:
  std::function<std::uint16_t()> gateway_port() {
    return [this] { return gateway.server.url().port; };
  }
  ClientOptions trusting(const CertificateAuthority& trusted, std::vector<std::string> urls) {
    ClientOptions options = quick_options();
    options.urls = std::move(urls);
    options.tls.ca_file = trusted.file();
    return options;
  }
  // How connect() ends.
  CallError refusal_of(ClientOptions options) {
    make_client(std::move(options));
    auto connected = outcome_of<void>([&](Done<void> done) { client->connect(std::move(done)); });
    return connected ? CallError{} : connected.error();
  }

  const CertificateAuthority authority{"Test authority"};
  const Identity identity = authority.issue(std::string(kNames));
  TlsTerminator terminator{io, gateway_port(), identity};
};

TEST_F(ClientTlsTest, SpeaksWithAGatewayThatItCanVerify) {
  connect(trusting(authority, {terminator.url()}));

  const auto added = add(R"({"n":")" + std::string(500'000, 'x') + R"("})");
  gateway.send_event("messagesReceived",
                     R"({"connectionId":"phone-1","messages":[{"id":"m-1","receivedAt":)"
                     R"("2026-01-31T12:00:00.123Z","encryptedMessage":{"n":")" +
                         std::string(40'000, 'y') + R"("}}],"id":""})");
  run_until([&] { return !events.empty(); });

  EXPECT_TRUE(added) << added.error().text();
  EXPECT_EQ(std::get<MessagesReceived>(events.at(0)).messages.at(0).payload.size(), 40'008u);
  EXPECT_EQ(terminator.asked_names(), std::vector<std::string>{"localhost"});
}

TEST_F(ClientTlsTest, TakesAnAddressThatTheCertificateNames) {
  connect(trusting(authority, {terminator.url("127.0.0.1")}));

  EXPECT_TRUE(count());
  EXPECT_EQ(terminator.asked_names(), std::vector<std::string>{""});
}

TEST_F(ClientTlsTest, RefusesCertificatesThatItCannotVerifyAndSaysWhy) {
  const CertificateAuthority other("Another authority");
  terminator.show(other.issue(std::string(kNames)));
  const CallError unknown = refusal_of(trusting(authority, {terminator.url()}));
  terminator.show(authority.issue("DNS:elsewhere.example"));
  const CallError other_name = refusal_of(trusting(authority, {terminator.url()}));
  const CallError other_address = refusal_of(trusting(authority, {terminator.url("127.0.0.1")}));
  terminator.show(authority.issue(std::string(kNames), -std::chrono::hours(24)));
  const CallError expired = refusal_of(trusting(authority, {terminator.url()}));
  terminator.show(identity);
  ClientOptions with_the_systems = trusting(authority, {terminator.url()});
  with_the_systems.tls.ca_file.clear();
  const CallError systems = refusal_of(with_the_systems);

  for (const auto& [error, reason] : {std::pair{unknown, "unable to get local issuer certificate"},
                                      {other_name, "hostname mismatch"},
                                      {other_address, "IP address mismatch"},
                                      {expired, "certificate has expired"},
                                      {systems, "unable to get local issuer certificate"}}) {
    EXPECT_EQ(error.kind, ErrorKind::untrusted) << error.text();
    EXPECT_TRUE(error.details.contains("the server's certificate is not accepted")) << error.text();
    EXPECT_TRUE(error.details.contains(reason)) << error.text();
  }
  EXPECT_TRUE(gateway.calls.empty());
}

TEST_F(ClientTlsTest, ChecksForTheNameThatTheOptionsGive) {
  terminator.show(authority.issue("DNS:gateway.example"));
  ClientOptions options = trusting(authority, {terminator.url("127.0.0.1")});
  options.tls.server_name = "gateway.example";
  connect(options);

  EXPECT_TRUE(count());
  EXPECT_EQ(terminator.asked_names(), std::vector<std::string>{"gateway.example"});
}

TEST_F(ClientTlsTest, ShowsItsCertificateToAGatewayThatAsksForOne) {
  terminator.ask_for_certificates_of(authority);
  ClientOptions options = trusting(authority, {terminator.url()});
  const CallError without = refusal_of(options);
  const Identity own = authority.issue("DNS:mediator.example");
  options.tls.certificate_file = own.certificate_file;
  options.tls.key_file = own.key_file;
  connect(options);

  EXPECT_TRUE(count());
  EXPECT_EQ(without.kind, ErrorKind::no_connection) << without.text();
}

TEST_F(ClientTlsTest, GoesToTheNextGatewayWhenACertificateIsRefused) {
  TlsTerminator outdated(io, gateway_port(),
                         authority.issue(std::string(kNames), -std::chrono::hours(24)));
  make_client(trusting(authority, {outdated.url(), terminator.url()}));
  std::vector<std::string> log;
  client->on_log([&](LogLevel level, std::string_view sentence) {
    log.push_back(std::string(to_string(level)) + " " + std::string(sentence));
  });
  const auto connected =
      outcome_of<void>([&](Done<void> done) { client->connect(std::move(done)); });

  ASSERT_TRUE(connected) << connected.error().text();
  EXPECT_TRUE(count());
  const auto address = [](const TlsTerminator& of) { return of.url().substr(6); };
  EXPECT_EQ(log, (std::vector<std::string>{
                     "warning no connection to " + address(outdated) + ": " + address(outdated) +
                         ": the server's certificate is not accepted: certificate has expired",
                     "info connected to " + address(terminator)}));
}

TEST_F(ClientTlsTest, ReconnectsAndOpensItsSessionsAgain) {
  connect(trusting(authority, {terminator.url()}));
  open_session();
  gateway.calls.clear();

  terminator.cut();
  run_until([&] { return gateway.count("takeFromQueue") > 0; });

  EXPECT_EQ(gateway.methods(),
            (std::vector<std::string>{"rpc.on", "addLiveSession", "takeFromQueue"}));
}

TEST_F(ClientTlsTest, SaysInCallsThatWaitedInVainWhyThereWasNoConnection) {
  terminator.show(authority.issue("DNS:elsewhere.example"));
  ClientOptions options = trusting(authority, {terminator.url()});
  options.first_connect = FirstConnect::retry;
  options.total_timeout = std::chrono::milliseconds(500);
  make_client(options);
  bool failed_once = false;
  client->on_log([&](LogLevel level, std::string_view) {
    if (level == LogLevel::warning) failed_once = true;
  });
  client->connect([](const Outcome<void>&) {});
  run_until([&] { return failed_once; });
  const auto counted = count();
  terminator.show(identity);
  run_until([&] { return client->connected(); });

  ASSERT_FALSE(counted);
  EXPECT_EQ(counted.error().kind, ErrorKind::no_connection);
  EXPECT_TRUE(counted.error().details.contains("hostname mismatch")) << counted.error().text();
}

TEST_F(ClientTlsTest, NamesTheFileThatCannotBeUsed) {
  const auto complaint = [&](const TlsOptions& tls) -> std::string {
    ClientOptions options = quick_options();
    options.urls = {terminator.url()};
    options.tls = tls;
    try {
      const Client refused(io, options);
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
    return {};
  };

  const Identity stranger = authority.issue("DNS:stranger.example");
  EXPECT_TRUE(complaint({.ca_file = "/nowhere.pem"}).starts_with("tls.ca_file: cannot use the"));
  EXPECT_TRUE(complaint({.certificate_file = identity.certificate_file})
                  .starts_with("tls: certificate_file and key_file are given together"));
  EXPECT_TRUE(complaint({.certificate_file = "/nowhere.pem", .key_file = identity.key_file})
                  .contains("cannot use the certificate /nowhere.pem"));
  const std::string mismatch =
      complaint({.certificate_file = identity.certificate_file, .key_file = stranger.key_file});
  EXPECT_TRUE(mismatch.contains("cannot use the key " + stranger.key_file)) << mismatch;
}

}  // namespace
}  // namespace mpr::client
