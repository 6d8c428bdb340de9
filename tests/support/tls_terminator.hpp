// A proxy on the loopback interface that speaks TLS outside and plain TCP inside, as one stands in
// front of a gateway. Runs on the test's own event loop, which outlives it; one thread.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/certificates.hpp"

namespace mpr::test {

class TlsTerminator {
 public:
  // `gateway_port` is asked for each connection.
  TlsTerminator(boost::asio::io_context& io, std::function<std::uint16_t()> gateway_port,
                Identity identity);
  ~TlsTerminator();
  TlsTerminator(const TlsTerminator&) = delete;
  TlsTerminator& operator=(const TlsTerminator&) = delete;

  std::string url(const std::string& host = "localhost") const {
    return "wss://" + host + ":" + std::to_string(port_);
  }
  // Both count for connections from now on.
  void show(Identity identity) { identity_ = std::move(identity); }
  void ask_for_certificates_of(const CertificateAuthority& authority) {
    clients_authority_ = authority.file();
  }
  // Ends all connections.
  void cut();

  // The names that clients asked for (SNI), one for each handshake that succeeded; empty: none.
  const std::vector<std::string>& asked_names() const { return asked_names_; }

 private:
  class Passage;
  void accept();

  boost::asio::io_context& io_;
  const std::function<std::uint16_t()> gateway_port_;
  boost::asio::ip::tcp::acceptor acceptor_;
  const std::uint16_t port_;
  Identity identity_;
  std::string clients_authority_;  // empty: clients need no certificate
  std::vector<std::weak_ptr<Passage>> passages_;
  std::vector<std::string> asked_names_;
};

}  // namespace mpr::test
